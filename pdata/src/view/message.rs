//! How a message of the schema becomes a view.

/// Declares a view and the struct of its fields, much as the schema declares the message:
/// `name: type = number`, the numbers of a oneof side by side, `=> read` where the wire
/// needs more than [`FromField`](super::field::FromField) does for the type.
macro_rules! message {
    (
        $(#[$meta:meta])*
        $view:ident, $fields:ident $(<$life:lifetime>)? {
            $(
                $(#[$doc:meta])*
                $name:ident: $type:ty = $($number:literal)|+ $(=> $read:path)?,
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $view<'a> {
            bytes: &'a [u8],
        }

        impl<'a> $view<'a> {
            /// The message.
            #[must_use]
            pub const fn bytes(&self) -> &'a [u8] {
                self.bytes
            }

            /// All fields, read in one pass.
            #[must_use]
            #[inline]
            pub fn fields(&self) -> $fields$(<$life>)? {
                let mut fields = $fields::default();
                for field in $crate::wire::Cursor::new(self.bytes) {
                    match field.number {
                        $($($number)|+ => message!(@read &mut fields.$name, field, self.bytes $(, $read)?),)*
                        _ => {}
                    }
                }
                fields
            }

            $(
                $(#[$doc])*
                #[must_use]
                pub fn $name(&self) -> $type {
                    let mut value = <$type>::default();
                    let field = $crate::wire::Cursor::new(self.bytes)
                        .find(|field| matches!(field.number, $($number)|+));
                    if let Some(field) = field {
                        message!(@read &mut value, field, self.bytes $(, $read)?);
                    }
                    value
                }
            )*
        }

        impl<'a> $crate::view::View<'a> for $view<'a> {
            #[inline]
            fn of(bytes: &'a [u8]) -> Self {
                Self { bytes }
            }
        }

        #[doc = concat!("All fields of a [`", stringify!($view), "`].")]
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $fields$(<$life>)? {
            $(
                $(#[$doc])*
                pub $name: $type,
            )*
        }
    };
    (@read $slot:expr, $field:ident, $message:expr) => {
        $crate::view::field::FromField::read($slot, &$field, $message)
    };
    (@read $slot:expr, $field:ident, $message:expr, $read:path) => {
        *$slot = $read(&$field)
    };
}
