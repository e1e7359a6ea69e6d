//! Reading the parts of a session from JSON.
//!
//! A derived `flatten`, which keeps fields that are not known, reads all fields into a buffer first and
//! then out of it again.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{
    AgsService, DeepLinkingService, LtiContext, LtiLaunch, LtiPlatform, LtiResourceLink,
    LtiServices, LtiUser, NrpsService,
};

/// The name of a field, borrowed from the JSON unless it is spelt with escapes.
pub(super) struct Name<'de>(pub(super) Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;

        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field's name")
            }

            fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }

            fn visit_string<E: Error>(self, name: String) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name)))
            }
        }

        deserializer.deserialize_str(NameVisitor)
    }
}

/// Reads an object into a type's fields, those that are missing as their defaults, and all others
/// into `extra`.
macro_rules! fields {
    ($type:ident { $($name:literal => $field:ident,)* }) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields;

                impl<'de> Visitor<'de> for Fields {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<$type, A::Error> {
                        let mut read = $type::default();
                        while let Some(Name(name)) = map.next_key()? {
                            match &*name {
                                $($name => read.$field = map.next_value()?,)*
                                _ => drop(read.extra.insert(name.into_owned(), map.next_value()?)),
                            }
                        }
                        Ok(read)
                    }
                }

                deserializer.deserialize_map(Fields)
            }
        }
    };
}

fields!(LtiUser {
    "id" => id,
    "name" => name,
    "email" => email,
    "familyName" => family_name,
    "givenName" => given_name,
    "roles" => roles,
});
fields!(LtiContext {
    "id" => id,
    "label" => label,
    "title" => title,
});
fields!(LtiPlatform {
    "issuer" => issuer,
    "clientId" => client_id,
    "deploymentId" => deployment_id,
    "name" => name,
});
fields!(LtiLaunch {
    "target" => target,
});
fields!(LtiResourceLink {
    "id" => id,
    "title" => title,
});
fields!(LtiServices {
    "ags" => ags,
    "nrps" => nrps,
    "deepLinking" => deep_linking,
});
fields!(AgsService {
    "lineitem" => lineitem,
    "lineitems" => lineitems,
    "scopes" => scopes,
});
fields!(NrpsService {
    "membershipUrl" => membership_url,
    "versions" => versions,
});
fields!(DeepLinkingService {
    "returnUrl" => return_url,
    "acceptTypes" => accept_types,
    "acceptPresentationDocumentTargets" => accept_presentation_document_targets,
    "acceptMediaTypes" => accept_media_types,
    "acceptMultiple" => accept_multiple,
    "autoCreate" => auto_create,
    "data" => data,
});
