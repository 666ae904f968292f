//! What an IP packet says of congestion (RFC 3168 5).

/// The two bits for it in an IP header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ecn {
    /// Its sender does not take marks.
    #[default]
    NotEct = 0b00,
    /// Its sender takes marks, and answers them otherwise (RFC 9331).
    Ect1 = 0b01,
    /// Its sender takes marks as it takes losses.
    Ect0 = 0b10,
    /// It met congestion.
    Ce = 0b11,
}

impl Ecn {
    /// What the lowest two bits of a byte say.
    #[must_use]
    pub fn from_bits(byte: u8) -> Self {
        match byte & 0b11 {
            0b00 => Self::NotEct,
            0b01 => Self::Ect1,
            0b10 => Self::Ect0,
            _ => Self::Ce,
        }
    }

    /// The two bits.
    #[must_use]
    pub fn bits(self) -> u8 {
        self as u8
    }

    /// Whether a queue may mark the packet in place of losing it.
    #[must_use]
    pub fn takes_marks(self) -> bool {
        self != Self::NotEct
    }
}
