//! Why a request failed, in one word.

/// Why a request failed, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing that has a word.
    Unknown,
    /// There is no such thing.
    NotFound,
    /// The name is taken.
    AlreadyExists,
    /// The object is not as the client thinks.
    Conflict,
    /// Fields are wrong.
    Invalid,
    /// The request cannot be understood.
    BadRequest,
    /// No credential, or one that is not known here.
    Unauthorized,
    /// The caller may not.
    Forbidden,
    /// The path does not take this method.
    MethodNotAllowed,
    /// The client accepts nothing that the server can write.
    NotAcceptable,
    /// The revision that the client asks for is gone.
    Expired,
    /// The body is larger than the server reads.
    RequestEntityTooLarge,
    /// The body's media type is not one the path takes.
    UnsupportedMediaType,
    /// Too much at once.
    TooManyRequests,
    /// A fault of the server.
    InternalError,
    /// Something the server needs is away.
    ServiceUnavailable,
    /// No answer in time.
    Timeout,
}

impl Reason {
    /// The word in `.reason`; empty when there is none.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "",
            Self::NotFound => "NotFound",
            Self::AlreadyExists => "AlreadyExists",
            Self::Conflict => "Conflict",
            Self::Invalid => "Invalid",
            Self::BadRequest => "BadRequest",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::NotAcceptable => "NotAcceptable",
            Self::Expired => "Expired",
            Self::RequestEntityTooLarge => "RequestEntityTooLarge",
            Self::UnsupportedMediaType => "UnsupportedMediaType",
            Self::TooManyRequests => "TooManyRequests",
            Self::InternalError => "InternalError",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::Timeout => "Timeout",
        }
    }
}
