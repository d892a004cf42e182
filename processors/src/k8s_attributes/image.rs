//! The names of images: `registry:5000/team/cart:1.2@sha256:…`.

/// An image's name, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Image<'i> {
    pub(super) name: &'i str,
    pub(super) tag: Option<&'i str>,
    pub(super) digest: Option<&'i str>,
}

impl<'i> Image<'i> {
    /// None where the text names no image.
    pub(super) fn parse(text: &'i str) -> Option<Self> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let from = rest.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match rest[from..].rfind(':') {
            Some(at) => (&rest[..from + at], Some(&rest[from + at + 1..])),
            None => (rest, None),
        };
        let valid = !name.is_empty() && tag != Some("") && digest != Some("");
        let spaced = text.contains(char::is_whitespace);
        (valid && !spaced).then_some(Self { name, tag, digest })
    }

    /// The tag as it is told: `latest` where the name has none and no digest either.
    pub(super) fn told_tag(&self) -> Option<&'i str> {
        match (self.tag, self.digest) {
            (None, None) => Some("latest"),
            (tag, _) => tag,
        }
    }

    /// What the name says of the version of what is in the image.
    pub(super) fn version(&self) -> Option<String> {
        match (self.tag, self.digest) {
            (Some(tag), Some(digest)) => Some(format!("{tag}@{digest}")),
            (Some(only), None) | (None, Some(only)) => Some(only.to_owned()),
            (None, None) => None,
        }
    }
}

/// The image of which a container runs, as its repository and digest; none where the runtime says
/// an ID alone.
pub(super) fn repo_digest(image_id: &str) -> Option<String> {
    let text = image_id
        .split_once("://")
        .map_or(image_id, |(_, bare)| bare);
    let image = Image::parse(text)?;
    let digest = image.digest?;
    Some(format!("{}@{digest}", image.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        for (text, name, tag, version) in [
            ("cart", "cart", Some("latest"), None),
            ("cart:1.2", "cart", Some("1.2"), Some("1.2")),
            ("reg:5000/a/cart", "reg:5000/a/cart", Some("latest"), None),
            ("reg:5000/a/cart:x", "reg:5000/a/cart", Some("x"), Some("x")),
            ("a/cart@sha256:12", "a/cart", None, Some("sha256:12")),
            (
                "a/cart:1@sha256:12",
                "a/cart",
                Some("1"),
                Some("1@sha256:12"),
            ),
        ] {
            let image = Image::parse(text).unwrap();
            let told = (image.name, image.told_tag(), image.version());
            assert_eq!(told, (name, tag, version.map(str::to_owned)), "{text}");
        }
        for text in ["", ":1", "a:", "a b", "a@"] {
            assert_eq!(Image::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_digest_is_told_with_its_repository() {
        let id = "docker-pullable://ghcr.io/a/cart@sha256:12";
        assert_eq!(repo_digest(id).as_deref(), Some("ghcr.io/a/cart@sha256:12"));
        assert_eq!(repo_digest("sha256:12"), None);
    }
}
