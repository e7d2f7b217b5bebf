//! Namespaces, and the operations with their actions (XTA 2.1.1, WSDL).

pub(crate) const SOAP: &str = "http://www.w3.org/2003/05/soap-envelope";
pub(crate) const SOAP_11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
pub(crate) const WSA: &str = "http://www.w3.org/2005/08/addressing";
pub(crate) const WSSE: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
pub(crate) const XTA: &str = "http://xoev.de/transport/xta/211";
pub(crate) const META: &str = "http://www.osci.eu/ws/2014/10/transport";
pub(crate) const OSCI: &str = "http://www.osci.eu/ws/2008/05/transport";
pub(crate) const XOP: &str = "http://www.w3.org/2004/08/xop/include";

/// The three ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    Management,
    Send,
    Mailbox,
}

/// The twelve operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    CheckAccountActive,
    LookupService,
    CreateMessageId,
    GetTransportReport,
    CancelMessage,
    SendMessage,
    SendMessageSync,
    GetStatusList,
    GetNextStatusList,
    GetMessage,
    GetNextMessage,
    Close,
}

impl Operation {
    pub(crate) const ALL: [Self; 12] = [
        Self::CheckAccountActive,
        Self::LookupService,
        Self::CreateMessageId,
        Self::GetTransportReport,
        Self::CancelMessage,
        Self::SendMessage,
        Self::SendMessageSync,
        Self::GetStatusList,
        Self::GetNextStatusList,
        Self::GetMessage,
        Self::GetNextMessage,
        Self::Close,
    ];

    /// Its action: of the request and of the answer.
    pub(crate) fn action(self) -> &'static str {
        match self {
            Self::CheckAccountActive => "http://www.xta.de/XTA/CheckAccountActive",
            Self::LookupService => "http://www.xta.de/XTA/IsServiceAvailable",
            Self::CreateMessageId => "http://www.xta.de/XTA/CreateMessageID",
            Self::GetTransportReport => "http://www.xta.de/XTA/GetTransportReport",
            Self::CancelMessage => "http://www.xta.de/XTA/CancelMessage",
            Self::SendMessage => "http://www.xta.de/XTA/SendMessage",
            Self::SendMessageSync => "http://www.xta.de/XTA/SendMessageSync",
            Self::GetStatusList => {
                "http://www.osci.eu/ws/2008/05/transport/urn/messageTypes/MsgBoxStatusListRequest"
            }
            Self::GetNextStatusList => {
                "http://www.osci.eu/ws/2008/05/transport/urn/messageTypes/MsgBoxGetNextListRequest"
            }
            Self::GetMessage => "http://www.osci.eu/ws/2008/05/transport/urn/messageTypes/MsgBoxFetchRequest",
            Self::GetNextMessage => {
                "http://www.osci.eu/ws/2008/05/transport/urn/messageTypes/MsgBoxGetNextMsgRequest"
            }
            Self::Close => "http://www.osci.eu/ws/2008/05/transport/urn/messageTypes/MsgBoxCloseRequest",
        }
    }

    /// The port that has it.
    pub(crate) fn port(self) -> Port {
        match self {
            Self::CheckAccountActive
            | Self::LookupService
            | Self::CreateMessageId
            | Self::GetTransportReport
            | Self::CancelMessage => Port::Management,
            Self::SendMessage | Self::SendMessageSync => Port::Send,
            _ => Port::Mailbox,
        }
    }

    /// The exceptions that the WSDL gives it.
    pub(crate) fn exceptions(self) -> &'static [Exception] {
        use Exception::{
            CancelDenied, InvalidMessageId, ParameterIsNotValid, PermissionDenied, SchemaViolation,
            SyncAsync, TechnicalProblem, VirusDetection,
        };
        match self {
            Self::CheckAccountActive
            | Self::CreateMessageId
            | Self::GetStatusList
            | Self::GetNextStatusList => &[PermissionDenied, TechnicalProblem],
            Self::LookupService => &[PermissionDenied, TechnicalProblem, ParameterIsNotValid],
            Self::GetTransportReport | Self::GetMessage | Self::GetNextMessage | Self::Close => {
                &[PermissionDenied, TechnicalProblem, InvalidMessageId]
            }
            // An unknown id has no exception of its own here: it is an invalid parameter.
            Self::CancelMessage => &[PermissionDenied, TechnicalProblem, ParameterIsNotValid, CancelDenied],
            Self::SendMessage | Self::SendMessageSync => &[
                PermissionDenied,
                TechnicalProblem,
                ParameterIsNotValid,
                SchemaViolation,
                VirusDetection,
                SyncAsync,
            ],
        }
    }
}

/// The exceptions of XTA 2.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exception {
    PermissionDenied,
    ParameterIsNotValid,
    TechnicalProblem,
    SchemaViolation,
    VirusDetection,
    InvalidMessageId,
    SyncAsync,
    CancelDenied,
}

impl Exception {
    /// The element in the fault's detail.
    pub(crate) fn element(self) -> &'static str {
        match self {
            Self::PermissionDenied => "PermissionDeniedException",
            Self::ParameterIsNotValid => "ParameterIsNotValidException",
            Self::TechnicalProblem => "XTAWSTechnicalProblemException",
            Self::SchemaViolation => "MessageSchemaViolationException",
            Self::VirusDetection => "MessageVirusDetectionException",
            Self::InvalidMessageId => "InvalidMessageIDException",
            Self::SyncAsync => "SyncAsyncException",
            Self::CancelDenied => "CancelDeniedException",
        }
    }

    /// Whether an element of this name is one.
    pub(crate) fn is_one(element: &str) -> bool {
        element.ends_with("Exception")
    }

    /// The exception that a number belongs to.
    pub(crate) fn of(number: u16) -> Self {
        match number {
            9010..=9014 => Self::PermissionDenied,
            9020..=9024 => Self::ParameterIsNotValid,
            9050..=9052 => Self::SchemaViolation,
            9060 => Self::VirusDetection,
            9070 => Self::InvalidMessageId,
            9080 | 9081 => Self::SyncAsync,
            9100 | 9101 => Self::CancelDenied,
            _ => Self::TechnicalProblem,
        }
    }
}
