//! For portals: hand in, ask, watch.

use tonic::{Request, Response, Status, Streaming};

use super::{Service, caller};
use crate::domain::Role;
use crate::front::feed::Answers;
use crate::front::report::route;
use crate::front::status::{problem, status};
use crate::front::upload::{Upload, malformed};
use crate::front::watch;
use crate::intake::Receipt;
use crate::proto::{self, submit_chunk::Part};

fn answer(receipt: Receipt) -> proto::SubmitResponse {
    proto::SubmitResponse {
        message_id: receipt.id.to_string(),
        state: receipt.state.to_owned(),
        receipt: receipt.document,
        repeated: receipt.repeated,
    }
}

#[tonic::async_trait]
impl proto::submission_server::Submission for Service {
    async fn submit(
        &self,
        request: Request<proto::SubmitRequest>,
    ) -> Result<Response<proto::SubmitResponse>, Status> {
        let caller = caller(&request, Some(Role::Portal))?;
        let request = request.into_inner();
        let work = async {
            let mut upload = Upload::begin(&self.core, &caller, true)?;
            upload.document(request.document)?;
            for attachment in request.attachments {
                upload.attachment(Some(attachment.content.len() as u64)).await?;
                upload.content(attachment.content).await?;
            }
            upload.accept().await
        };
        work.await.map(|receipt| Response::new(answer(receipt))).map_err(|refusal| status(&refusal))
    }

    async fn submit_stream(
        &self,
        request: Request<Streaming<proto::SubmitChunk>>,
    ) -> Result<Response<proto::SubmitResponse>, Status> {
        let caller = caller(&request, Some(Role::Portal))?;
        let mut stream = request.into_inner();
        let mut upload = Upload::begin(&self.core, &caller, false).map_err(|refusal| status(&refusal))?;
        while let Some(chunk) = stream.message().await? {
            let taken = match chunk.part {
                Some(Part::Document(chunk)) => upload.document(chunk),
                Some(Part::Attachment(start)) => upload.attachment(Some(start.size)).await,
                Some(Part::Content(chunk)) => upload.content(chunk).await,
                None => {
                    Err(malformed("a chunk carries a document's octets, an attachment's start or its octets"))
                }
            };
            taken.map_err(|refusal| status(&refusal))?;
        }
        upload
            .accept()
            .await
            .map(|receipt| Response::new(answer(receipt)))
            .map_err(|refusal| status(&refusal))
    }

    async fn validate(
        &self,
        request: Request<proto::ValidateRequest>,
    ) -> Result<Response<proto::ValidateResponse>, Status> {
        let caller = caller(&request, Some(Role::Portal))?;
        let account = &caller.entry.account;
        caller.entry.submit(std::time::Instant::now()).map_err(|refusal| status(&refusal))?;
        let document = request.into_inner().document;
        let result = self.core.parts.intake.validate(account, document).await;
        Ok(Response::new(match result {
            Ok((placement, explanation)) => proto::ValidateResponse {
                accepted: true,
                problem: None,
                route: Some(route(&placement, &self.core.parts.directory.load(), explanation)),
            },
            Err(refusal) => {
                proto::ValidateResponse { accepted: false, problem: Some(problem(&refusal)), route: None }
            }
        }))
    }

    async fn get_status(
        &self,
        request: Request<proto::StatusRequest>,
    ) -> Result<Response<proto::Report>, Status> {
        let caller = caller(&request, None)?;
        let id = request.into_inner().message_id;
        let found = self.core.look(&caller.entry.account, &id).await;
        let record = found.map_err(|refusal| status(&refusal))?;
        Ok(Response::new(self.core.report(&record, false)))
    }

    async fn get_proof(
        &self,
        request: Request<proto::StatusRequest>,
    ) -> Result<Response<proto::ProofResponse>, Status> {
        let caller = caller(&request, None)?;
        let id = request.into_inner().message_id;
        let proof = self.core.proof(&caller.entry.account, &id).await;
        let proof = proof.map_err(|refusal| status(&refusal))?;
        Ok(Response::new(proto::ProofResponse { proof: proof.into() }))
    }

    type WatchStream = Answers<proto::Report>;

    async fn watch(
        &self,
        request: Request<proto::StatusRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let caller = caller(&request, None)?;
        let id = request.into_inner().message_id;
        let found = self.core.look(&caller.entry.account, &id).await;
        let record = found.map_err(|refusal| status(&refusal))?;
        let account = caller.entry.account.clone();
        Ok(Response::new(watch::message(self.core.clone(), account, record, self.stop.clone())))
    }
}
