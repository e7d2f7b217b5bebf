//! The description of the service, our own: exactly what is served here.

use super::names::Port;
use super::settings::Settings;
use crate::xml::escaped;

const TEXT: &str = include_str!("wsdl/xta.wsdl");

/// The WSDL with the addresses of the ports at this host.
pub(crate) fn text(settings: &Settings, host: &str) -> String {
    let host: String = host.chars().take(300).collect();
    let address = |port| escaped(&format!("https://{host}{}", settings.first(port)));
    TEXT.replace("@MANAGEMENT@", &address(Port::Management))
        .replace("@SEND@", &address(Port::Send))
        .replace("@MAILBOX@", &address(Port::Mailbox))
}
