//! What a scenario found: a row of the table, and whether the promise was kept.

use std::collections::BTreeMap;
use std::io::Write;

use serde::{Deserialize, Serialize};

use crate::books::Audit;
use crate::ledger::Ledger;
use crate::promises::{Promise, promise};
use crate::rig::Mode;

/// The file that findings are appended to, where there is one.
const RESULTS: &str = "TIDEGATE_FAULTS_RESULTS";
/// What the binary under test is called in them.
const BUILD: &str = "TIDEGATE_FAULTS_BUILD";

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Finding {
    pub fault: String,
    pub mode: String,
    pub rounds: u64,
    pub sent: u64,
    pub acknowledged: u64,
    pub lost: u64,
    pub duplicated: u64,
    pub invented: u64,
    /// What the backend rejected for good.
    pub rejected: u64,
    /// What the ledger says did not arrive, by reason.
    pub ended: BTreeMap<String, u64>,
    /// Whether the ledger's edges are in balance and it agrees with the sets; none where the process
    /// did not live to state it.
    pub balanced: Option<bool>,
    /// What else was measured.
    #[serde(default)]
    pub note: String,
    /// Why it was not run.
    #[serde(default)]
    pub skipped: String,
    /// Which binary it was found with.
    #[serde(default)]
    pub build: String,
}

impl Finding {
    pub fn new(fault: &str, mode: Mode, rounds: u64, audit: &Audit) -> Self {
        Self {
            fault: fault.to_owned(),
            mode: mode.name().to_owned(),
            rounds,
            sent: audit.sent,
            acknowledged: audit.acknowledged,
            lost: audit.lost,
            duplicated: audit.duplicated,
            invented: audit.invented,
            rejected: audit.rejected,
            ..Self::default()
        }
    }

    /// Says that a scenario cannot be run here, and why.
    pub fn skip(fault: &str, mode: Mode, why: &str) {
        println!("skipped: {fault}: {why}");
        let finding = Self {
            fault: fault.to_owned(),
            mode: mode.name().to_owned(),
            skipped: why.to_owned(),
            ..Self::default()
        };
        finding.append();
    }

    /// Adds a ledger: that of the only life, or of one of several.
    pub fn ledger(mut self, ledger: &Ledger) -> Self {
        for (reason, items) in ledger.dropped() {
            *self.ended.entry(reason).or_default() += items;
        }
        self.balanced = Some(self.balanced != Some(false) && ledger.balanced());
        self
    }

    /// Holds the ledger of a single life to the sets as well: what came in arrived or ended, to the item.
    ///
    /// Where deliveries are given up, or begin anew from disk, an item may be on both sides: delivered by
    /// a call whose answer was lost, and ended or brought back.
    pub fn exactly(mut self, ledger: &Ledger, audit: &Audit) -> Self {
        let accounted = audit.arrived + ledger.dropped_items() + ledger.held();
        let twice = self.mode != Mode::Memory.name() || self.fault == "given-up";
        let agree = ledger.taken() == accounted || twice && ledger.taken() < accounted;
        if !agree {
            println!(
                "the ledger has {} in, {} ended, {} held; {} arrived",
                ledger.taken(),
                ledger.dropped_items(),
                ledger.held(),
                audit.arrived
            );
        }
        self.balanced = Some(self.balanced != Some(false) && agree);
        self
    }

    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    fn append(&self) {
        let Some(path) = std::env::var_os(RESULTS) else {
            return;
        };
        let build = std::env::var(BUILD).unwrap_or_default();
        let finding = Self {
            build,
            ..self.clone()
        };
        let mut line = serde_json::to_string(&finding).expect("it is made of words and numbers");
        line.push('\n');
        let mut options = std::fs::OpenOptions::new();
        let file = options.create(true).append(true).open(path);
        // In one call, since scenarios run side by side.
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .expect("the finding can be kept");
    }

    /// Keeps the finding, then fails the test if the promise was not kept.
    pub fn judge(self) {
        println!("{self:?}");
        self.append();
        let mode = Mode::ALL.into_iter().find(|mode| mode.name() == self.mode);
        let promise = promise(&self.fault, mode.expect("a mode's name"));
        assert!(self.acknowledged > 0, "nothing was acknowledged: {self:?}");
        assert_eq!(self.invented, 0, "{self:?}");
        assert_ne!(self.balanced, Some(false), "{self:?}");
        let ended: u64 = self.ended.values().sum();
        match promise {
            Promise::Arrives => assert_eq!(self.lost, 0, "{self:?}"),
            Promise::InLedger => assert!(self.lost <= ended, "{self:?}"),
            Promise::ExactlyOnce => assert_eq!((self.lost, self.duplicated), (0, 0), "{self:?}"),
            // The scenario itself knows which those are.
            Promise::AllButDamaged | Promise::DiesWithProcess => {}
        }
    }
}
