//! Resources and scopes of held spans, each once for all traces that a worker holds.

use std::hash::BuildHasher;
use std::rc::Rc;

use foldhash::quality::RandomState;
use hashbrown::HashTable;

use super::marks::Marks;

/// Bytes that one takes beside its own.
const OVERHEAD: usize = 96;
/// From how many on it pays to look for those that nothing refers to any more.
const FEW: usize = 64;

/// A resource: the fields of `ResourceSpans` but for its scopes.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) fields: Box<[u8]>,
    /// What is to be seen in it.
    pub(super) marks: Marks,
}

/// A scope of a resource: the fields of `ScopeSpans` but for its spans.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) resource: Rc<Resource>,
    pub(super) fields: Box<[u8]>,
}

/// All that are known.
#[derive(Debug, Default)]
pub(super) struct Heads {
    hasher: RandomState,
    resources: HashTable<Rc<Resource>>,
    heads: HashTable<Rc<Head>>,
    bytes: usize,
    sweep_at: usize,
}

impl Heads {
    /// Bytes that they take.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The resource with these fields; `look` marks what is to be seen in a new one.
    pub(super) fn resource(
        &mut self,
        fields: &[u8],
        look: impl FnOnce(&mut Marks),
    ) -> Rc<Resource> {
        let hash = self.hasher.hash_one(fields);
        if let Some(known) = self.resources.find(hash, |known| *known.fields == *fields) {
            return Rc::clone(known);
        }
        self.sweep_if_many();
        let mut marks = Marks::default();
        look(&mut marks);
        let resource = Rc::new(Resource {
            fields: fields.into(),
            marks,
        });
        self.bytes += fields.len() + OVERHEAD;
        let hasher = &self.hasher;
        self.resources
            .insert_unique(hash, Rc::clone(&resource), |known| {
                hasher.hash_one(&*known.fields)
            });
        resource
    }

    /// The scope with these fields in a resource.
    pub(super) fn head(&mut self, resource: &Rc<Resource>, fields: &[u8]) -> Rc<Head> {
        let hash = hash_of(&self.hasher, resource, fields);
        let is_it =
            |known: &Rc<Head>| Rc::ptr_eq(&known.resource, resource) && *known.fields == *fields;
        if let Some(known) = self.heads.find(hash, is_it) {
            return Rc::clone(known);
        }
        self.sweep_if_many();
        let head = Rc::new(Head {
            resource: Rc::clone(resource),
            fields: fields.into(),
        });
        self.bytes += fields.len() + OVERHEAD;
        let hasher = &self.hasher;
        self.heads.insert_unique(hash, Rc::clone(&head), |known| {
            hash_of(hasher, &known.resource, &known.fields)
        });
        head
    }

    fn sweep_if_many(&mut self) {
        if self.resources.len() + self.heads.len() >= self.sweep_at.max(FEW) {
            self.sweep();
        }
    }

    /// Forgets those that nothing refers to any more.
    pub(super) fn sweep(&mut self) {
        let mut freed = 0;
        self.heads.retain(|head| {
            let stays = Rc::strong_count(head) > 1;
            freed += if stays {
                0
            } else {
                head.fields.len() + OVERHEAD
            };
            stays
        });
        self.resources.retain(|resource| {
            let stays = Rc::strong_count(resource) > 1;
            freed += if stays {
                0
            } else {
                resource.fields.len() + OVERHEAD
            };
            stays
        });
        self.bytes = self.bytes.saturating_sub(freed);
        self.sweep_at = 2 * (self.resources.len() + self.heads.len());
    }
}

fn hash_of(hasher: &RandomState, resource: &Rc<Resource>, fields: &[u8]) -> u64 {
    hasher.hash_one((Rc::as_ptr(resource), fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_kept_once_and_while_it_is_used() {
        let mut heads = Heads::default();
        let resource = heads.resource(b"a", |marks| marks.set(3));
        let again = heads.resource(b"a", |_| panic!("it is known"));
        assert!(Rc::ptr_eq(&resource, &again) && again.marks.has(3));
        let head = heads.head(&resource, b"s");
        assert!(Rc::ptr_eq(&head, &heads.head(&again, b"s")));
        let other = heads.resource(b"b", |_| {});
        assert!(!Rc::ptr_eq(&head, &heads.head(&other, b"s")));
        drop((other, resource, again));
        heads.sweep();
        assert_eq!((heads.resources.len(), heads.heads.len()), (1, 1));
        assert_eq!(heads.bytes(), 2 + 2 * OVERHEAD);
        drop(head);
        heads.sweep();
        assert_eq!(heads.bytes(), 0);
    }
}
