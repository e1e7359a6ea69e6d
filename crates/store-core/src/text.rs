//! Text with a limit: identifiers, tokens and names, checked once where they enter.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::{Error, Result};

/// What one kind of text is called, how long it may be, and what else it must satisfy.
pub trait TextKind: Send + Sync + 'static {
    /// The name of the field in errors.
    const FIELD: &'static str;
    /// The least number of characters.
    const MIN_CHARS: usize = 1;
    /// The greatest number of characters (Unicode scalar values, as SQL's `varchar` counts them).
    const MAX_CHARS: usize;
    /// Whether the value must stay out of `Debug`, errors and logs.
    const SECRET: bool = false;
    /// A further condition, as the end of a sentence that starts with the field's name.
    ///
    /// # Errors
    /// What the text must be, for instance `must be an http or https URL`.
    fn check(_text: &str) -> Result<(), &'static str> {
        Ok(())
    }
}

/// A [`TextKind`] that may be shown: its [`Text`] implements [`fmt::Display`].
pub trait PublicText: TextKind {}

/// Text of kind `K`: within its limits, without U+0000, compared byte by byte.
///
/// The kinds have names of their own, such as [`Issuer`](crate::Issuer). Make one from any string:
///
/// ```
/// use store_core::{Issuer, Nonce};
///
/// let iss: Issuer = "https://lms.example".parse()?;
/// assert_eq!(iss.as_str(), "https://lms.example");
///
/// let nonce = Nonce::new("n-0S6_WzA2Mj")?;
/// assert_eq!(format!("{nonce:?}"), "nonce(…)"); // secrets stay out of Debug
/// # Ok::<(), store_core::Error>(())
/// ```
pub struct Text<K>(Box<str>, PhantomData<fn() -> K>);

impl<K: TextKind> Text<K> {
    /// Checks `text` and takes it.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) naming the field and its limit.
    pub fn new(text: impl Into<Box<str>>) -> Result<Self> {
        let text = text.into();
        match check::<K>(&text) {
            Ok(()) => Ok(Self(text, PhantomData)),
            Err(message) => Err(Error::invalid(K::FIELD, message)),
        }
    }

    /// Whether `text` could be of this kind. A lookup with text that could not finds nothing.
    #[must_use]
    pub fn accepts(text: &str) -> bool {
        check::<K>(text).is_ok()
    }

    /// Takes text that a store holds already, without checks. For backends.
    #[must_use]
    pub fn from_stored(text: impl Into<Box<str>>) -> Self {
        Self(text.into(), PhantomData)
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check<K: TextKind>(text: &str) -> Result<(), String> {
    let field = K::FIELD;
    // A string has at most as many characters as bytes, so that short ones need no counting.
    if text.len() > K::MAX_CHARS {
        let chars = text.chars().count();
        if chars > K::MAX_CHARS {
            let limit = K::MAX_CHARS;
            return Err(format!(
                "{field} is {chars} characters long, the limit is {limit}"
            ));
        }
    }
    if text.len() < K::MIN_CHARS {
        return Err(format!("{field} is empty"));
    }
    if text.as_bytes().contains(&0) {
        return Err(format!(
            "{field} holds the character U+0000, which databases refuse"
        ));
    }
    K::check(text).map_err(|must| format!("{field} {must}"))
}

impl<K: TextKind> Clone for Text<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<K> PartialEq for Text<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<K> Eq for Text<K> {}

impl<K> PartialOrd for Text<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Text<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl<K> Hash for Text<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<K: TextKind> AsRef<str> for Text<K> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<K: TextKind> fmt::Debug for Text<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if K::SECRET {
            write!(f, "{}(…)", K::FIELD)
        } else {
            fmt::Debug::fmt(&self.0, f)
        }
    }
}

impl<K: PublicText> fmt::Display for Text<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<K: TextKind> FromStr for Text<K> {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl<K: TextKind> TryFrom<&str> for Text<K> {
    type Error = Error;
    fn try_from(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl<K: TextKind> TryFrom<String> for Text<K> {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::new(text)
    }
}

impl<K: TextKind> Serialize for Text<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de, K: TextKind> Deserialize<'de> for Text<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = Box::<str>::deserialize(deserializer)?;
        Self::new(text).map_err(de::Error::custom)
    }
}
