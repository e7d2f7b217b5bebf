"""Calls every operation with a client that zeep makes from the gateway's own description.

Arguments: the gateway's base URL, the folder with ca.pem, portal.* and authority.*.
"""
import sys

import requests
import zeep
from zeep.transports import Transport

BASE, PKI = sys.argv[1:]
WSDL = BASE + "/services/XTAService/ManagementPort?wsdl"
META = "{http://www.osci.eu/ws/2014/10/transport}"


def party(name, identifier):
    session = requests.Session()
    session.trust_env = False  # else a CA bundle of the environment would count
    session.verify = PKI + "/ca.pem"
    session.cert = (PKI + f"/{name}.pem", PKI + f"/{name}.key")
    client = zeep.Client(WSDL, transport=Transport(session=session))
    author = client.get_element(META + "Author")(Identifier={"_value_1": identifier, "type": "xoev"})
    ports = [client.bind("XTAService", p) for p in ("ManagementPort", "SendXtaPort", "MsgBoxPort")]
    return client, {"Author": author}, *ports


client, me, management, send, _ = party("portal", "psw:portal")
reader, she, about, _, box = party("authority", "kop:06534014")

management.checkAccountActive(_soapheaders=me)
looked = management.lookupService(
    [{"LookupService": {"Reader": {"Identifier": {"_value_1": "kop:06534014", "type": "xoev"}}, "ServiceType": "urn:x"}}],
    _soapheaders=me,
)
assert looked[0].IsServiceAvailableValue.ServiceIsAvailable is True, looked


def code(value, **more):
    return {"code": value, "listURI": "urn:x", "listVersionID": "1", **more}


def order(identifier):
    party_of = lambda text: {"Identifier": {"_value_1": text, "type": "xoev"}}
    return client.get_element(META + "MessageMetaData")(
        DeliveryAttributes={},
        Originators={"Author": party_of("psw:portal")},
        Destinations={"Reader": party_of("kop:06534014")},
        MsgIdentification={"MessageID": {"_value_1": identifier}},
        Qualifier={
            "Service": "urn:fim:probe:1.0",
            "BusinessScenario": {"Defined": code("PROBE")},
            "MessageType": code("frei", payloadSchema="urn:frei"),
        },
    )


def content(octets, name):
    return {"_value_1": octets, "contentType": "application/octet-stream", "filename": name}


def hand_in():
    identifier = management.createMessageId(_soapheaders=me)
    identifier = getattr(identifier, "_value_1", identifier)
    container = {"Message": content(b"<a xmlns='urn:frei'/>", "a.xml"), "Attachment": [content(bytes(range(256)), "ä.bin")]}
    send.sendMessage(container, _soapheaders={"MessageMetaData": order(identifier)})
    return identifier, container


first, container = hand_in()
second, _ = hand_in()
try:
    send.sendMessageSync(container, _soapheaders={"MessageMetaData": order(first)})
    raise SystemExit("sendMessageSync was answered")
except zeep.exceptions.Fault as fault:
    assert "9080" in zeep.wsdl.utils.etree_to_string(fault.detail).decode(), fault

listed = box.getStatusList(maxListItems=1, ListForm="MessageMetaData", _soapheaders=she)
assert listed.header.MsgBoxResponse.ItemsPending == 1, listed
more = box.getNextStatusList(MsgBoxRequestID=listed.header.MsgBoxResponse.MsgBoxRequestID, _soapheaders=she)
assert more.body.MessageMetaData[0].MsgIdentification.MessageID._value_1 == second, more

got = box.getMessage(_soapheaders=she)
assert got.body.ContentContainer.Message._value_1 == b"<a xmlns='urn:frei'/>", got
assert got.body.ContentContainer.Attachment[0]._value_1 == bytes(range(256))
following = box.getNextMessage(MsgBoxRequestID=got.header.MsgBoxResponse.MsgBoxRequestID, _soapheaders=she)
assert following.header.MessageMetaData.MsgIdentification.MessageID._value_1 == second, following
for identifier in (first, second):
    box.close(MsgBoxRequestID="urn:x", LastMsgReceived=[identifier], _soapheaders=she)
report = about.getTransportReport(first, _soapheaders=she)
assert report.MessageStatus.Status == 1, report
third, _ = hand_in()
management.cancelMessage(third, _soapheaders=me)
assert management.getTransportReport(third, _soapheaders=me).MessageStatus.Status == 3
print("twelve operations")
