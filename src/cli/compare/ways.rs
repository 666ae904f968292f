//! The ways to carry the bytes that are compared.

use crate::cli::args::{Compare, strategy_name};
use crate::report::comparison::{Contender, Control};
use crate::transport::arq::{ArqConfig, Strategy};
use crate::transport::config::CongestionChoice;

/// What a simulation has in the place of TCP.
pub(super) const STAND_IN: &str = "cubic (simulated)";

/// One way to carry the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// In datagrams of ours.
    Udp {
        /// How to choose the rate.
        congestion: CongestionChoice,
        /// Who decides what is sent again.
        arq: ArqConfig,
    },
    /// In a stream of the kernel's.
    Tcp {
        /// Its congestion control; the kernel's own choice where it does not say what it has.
        congestion: Option<String>,
    },
}

/// All that the order asks for: volley, the textbook's strategies, and TCP with each of its controls.
pub(super) fn all(order: &Compare, tcp: Vec<String>) -> Vec<Way> {
    let volley = order
        .cc
        .iter()
        .map(|congestion| Way::Udp { congestion: *congestion, arq: ArqConfig::default() });
    let classic = [Strategy::StopAndWait, Strategy::GoBackN, Strategy::SelectiveRepeat];
    let classic = classic.into_iter().filter(|_| order.all).map(|strategy| Way::Udp {
        congestion: CongestionChoice::default(),
        arq: ArqConfig { strategy, ..ArqConfig::default() },
    });
    let tcp = if tcp.is_empty() { vec![None] } else { tcp.into_iter().map(Some).collect() };
    let tcp = tcp.into_iter().map(|congestion| Way::Tcp { congestion });
    volley.chain(classic).chain(tcp).collect()
}

impl Way {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Tcp { congestion: None } => "TCP".into(),
            Self::Tcp { congestion: Some(congestion) } => format!("TCP {congestion}"),
            Self::Udp { arq, congestion } if arq.strategy == Strategy::Volley => match congestion {
                CongestionChoice::Ebb => "UDP volley".into(),
                CongestionChoice::Cubic => "UDP volley cubic".into(),
                CongestionChoice::Bbr => "UDP volley bbr".into(),
                CongestionChoice::Fixed(rate) => format!("UDP volley at {rate}"),
            },
            Self::Udp { arq, .. } => {
                format!("UDP {}", strategy_name(arq.strategy))
            }
        }
    }

    pub(super) fn is_tcp(&self) -> bool {
        matches!(self, Self::Tcp { .. })
    }

    /// Who decides what is sent again, as far as it is one of ours.
    pub(super) fn strategy(&self) -> Strategy {
        match self {
            Self::Tcp { .. } => Strategy::Volley,
            Self::Udp { arq, .. } => arq.strategy,
        }
    }

    fn control(&self) -> Control {
        match self {
            Self::Tcp { congestion } => match congestion.as_deref().unwrap_or_default() {
                "cubic" | STAND_IN => Control::Cubic,
                "reno" => Control::Reno,
                name if name.starts_with("bbr") => Control::Bbr,
                _ => Control::Other,
            },
            Self::Udp { arq, congestion } => match (arq.strategy, congestion) {
                (Strategy::StopAndWait, _) => Control::StopAndWait,
                (Strategy::GoBackN, _) => Control::GoBackN { window: arq.window },
                (Strategy::SelectiveRepeat, _) => Control::SelectiveRepeat { window: arq.window },
                (Strategy::Volley, CongestionChoice::Cubic) => Control::Cubic,
                (Strategy::Volley, CongestionChoice::Bbr) => Control::Bbr,
                (Strategy::Volley, CongestionChoice::Ebb) => Control::Other,
                (Strategy::Volley, CongestionChoice::Fixed(rate)) => Control::Fixed(*rate),
            },
        }
    }

    /// As a row without runs.
    pub(super) fn contender(&self) -> Contender {
        let (name, is_tcp) = (self.name(), self.is_tcp());
        Contender { name, is_tcp, control: self.control(), trials: Vec::new() }
    }
}
