//! Sealed objects and a queue on disk: each object's seal is there before its commit, and its end
//! before its records are marked.

use std::sync::Arc;

use tidegate_component::{Position, Sealed};
use tidegate_journal::Refused;
use tokio::time::Instant;

use super::commit::Ended;
use super::driver::{Object, Told};
use super::seals::{Claim, Fate};
use super::work::Work;
use crate::delivery::attempt::chain;
use crate::delivery::books::{End, Why};
use crate::delivery::health::Fate as Next;
use crate::delivery::job::COME_AGAIN;

/// What is written once more, as it could not be.
pub(super) enum Rewrite {
    Seal(Arc<Sealed>),
    End(Object, Ended, Fate),
}

/// What stands before the reason for which an object was given up that another exporter keeps.
const KEPT: &str = "kept:";

impl Claim {
    /// How its items have ended.
    pub(super) fn end(&self) -> End {
        match &self.fate {
            Fate::Committed | Fate::Void => End::Delivered { rejected: 0 },
            Fate::GivenUp(why) => match why.strip_prefix(KEPT) {
                Some(why) => End::PassedOn(Why::of_name(why)),
                None => End::Dropped(Why::of_name(why)),
            },
        }
    }
}

impl Work {
    /// Has an object committed that was sealed, once its seal is on disk where there is one.
    pub(super) fn object_sealed(&mut self, sealed: Arc<Sealed>) {
        let Some(seals) = &self.seals else {
            self.waiting.push_back(Object {
                sealed,
                seal: None,
                is_again: false,
            });
            return;
        };
        self.unwritten += 1;
        let (driver, of) = (Arc::clone(&self.driver), Arc::clone(&sealed));
        seals.seal(&sealed, move |told| driver.tell(Told::Sealed(of, told)));
    }

    /// Ends what lies in an object, once its end is on disk where there is one.
    pub(super) fn object_ended(&mut self, object: Object, ended: Ended) {
        let fate = match &ended {
            Ok(()) => Fate::Committed,
            Err(given_up) if given_up.is_all_kept(&object.sealed) => {
                Fate::GivenUp(format!("{KEPT}{}", given_up.why.name()))
            }
            Err(given_up) => Fate::GivenUp(given_up.why.name().to_owned()),
        };
        self.write_end(object, ended, fate);
    }

    fn write_end(&mut self, object: Object, ended: Ended, fate: Fate) {
        let (Some(seals), Some(seal)) = (&self.seals, object.seal) else {
            self.settle(&object.sealed, ended);
            return;
        };
        self.unwritten += 1;
        let (driver, of) = (Arc::clone(&self.driver), fate.clone());
        seals.end(seal, fate, move |told| {
            driver.tell(Told::Ended(object, ended, of, told));
        });
    }

    fn settle(&mut self, sealed: &Sealed, ended: Ended) {
        match ended {
            Ok(()) => self.open.committed(sealed),
            Err(given_up) => self.open.given_up(sealed, &given_up),
        }
    }

    /// Takes up what others have done.
    pub(super) fn listen(&mut self) {
        if self.rewrite_at.is_some_and(|at| at <= Instant::now()) {
            self.rewrite_at = None;
            for rewrite in std::mem::take(&mut self.rewrites) {
                match rewrite {
                    Rewrite::Seal(sealed) => self.object_sealed(sealed),
                    Rewrite::End(object, ended, fate) => self.write_end(object, ended, fate),
                }
            }
        }
        while let Some(told) = self.driver.take_told() {
            match told {
                Told::Sealed(sealed, Ok(record)) => {
                    self.unwritten -= 1;
                    if let Some(seals) = &mut self.seals {
                        seals.take(record, &sealed);
                    }
                    self.waiting.push_back(Object {
                        sealed,
                        seal: Some(record.number()),
                        is_again: false,
                    });
                }
                Told::Sealed(sealed, Err(why)) => self.put_off(Rewrite::Seal(sealed), &why),
                Told::Ended(object, ended, fate, Ok(record)) => {
                    self.unwritten -= 1;
                    self.end_is_kept(&object, ended, &fate, record);
                }
                Told::Ended(object, ended, fate, Err(why)) => {
                    self.put_off(Rewrite::End(object, ended, fate), &why);
                }
                Told::Asked(object, is_there) => {
                    let fate = if is_there {
                        Fate::Committed
                    } else {
                        Fate::Void
                    };
                    self.write_end(object, Ok(()), fate);
                }
                Told::Kept(signal, spent, kept) => {
                    if let Some(seals) = &mut self.seals {
                        seals.forget(signal, &spent, kept.is_ok());
                    }
                }
            }
        }
    }

    fn end_is_kept(
        &mut self,
        object: &Object,
        ended: Ended,
        fate: &Fate,
        at: tidegate_journal::Position,
    ) {
        if let (Some(seals), Some(seal)) = (&mut self.seals, object.seal) {
            seals.ended(seal, at);
            if object.is_again {
                seals.claim(&object.sealed, fate);
            }
        }
        if object.is_again {
            self.again -= 1;
        } else {
            self.settle(&object.sealed, ended);
        }
    }

    /// Writes something a little later that could not be written now.
    fn put_off(&mut self, rewrite: Rewrite, why: &Refused) {
        self.unwritten -= 1;
        if matches!(why, Refused::Closed) {
            return;
        }
        let error = format!("a seal cannot be written: {}", chain(why));
        self.driver.health().failed(&error, Next::Retrying);
        self.rewrites.push(rewrite);
        self.rewrite_at = Some(Instant::now() + COME_AGAIN);
    }

    /// Lets seals go that nobody needs, once no crash brings their records back.
    pub(super) fn forget_spent(&mut self) {
        let Some(seals) = &mut self.seals else {
            return;
        };
        for (signal, log, spent) in seals.spent() {
            let driver = Arc::clone(&self.driver);
            log.persist_marks(move |kept| driver.tell(Told::Kept(signal, spent, kept)));
        }
    }

    /// What lies in objects of former lives of a batch that was handed out.
    pub(super) fn take_claims(&mut self, position: Position) -> Vec<Claim> {
        let seals = self.seals.as_mut();
        seals.map_or_else(Vec::new, |seals| seals.take_claims(position))
    }
}
