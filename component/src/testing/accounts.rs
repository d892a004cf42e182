//! The accounts of components at the edges: what they say of items is what became of them.

use std::sync::Arc;

use tidegate_pdata::{Outcome, Signal};
use tokio::time::timeout;

use super::contract::{PATIENCE, batch, feed, id, refusal, runtime, some};
use super::{Contract, FakeDoor, HereWorkers, read};
use crate::{AnyExporter, ComponentConfig, ExporterContext, Receiver, Shut};

impl<C: ComponentConfig<Builds = AnyExporter>> Contract<'_, C> {
    /// Checks an exporter whose peer takes everything: what it says was delivered is what the
    /// peer has, to the item.
    ///
    /// `taken` counts the items that the peer behind `text` has.
    pub fn exporter_delivering(&self, text: &str, taken: impl Fn() -> usize) {
        runtime(false).block_on(async {
            let exporter = read::<C>(text).build(&self.context("exporter"));
            let exporter = exporter.unwrap_or_else(|error| panic!("`{text}`: {error}"));
            let AnyExporter::Remote(exporter) = exporter else {
                panic!("`{text}` delivers to no peer")
            };
            let context = ExporterContext {
                id: id::<C>(),
                workers: HereWorkers::workers(),
                budget: tidegate_pdata::Budget::new(usize::MAX),
                timeout: None,
            };
            exporter.start(context).await.expect("it starts");
            let mut delivered = 0;
            let all = self.signals().into_iter().flat_map(feed);
            for payload in all.filter(|payload| payload.items() > 0) {
                let items = payload.items();
                let answer = timeout(PATIENCE, exporter.export(&batch(payload))).await;
                match answer.expect("the peer answers") {
                    Ok(answer) => delivered += items - answer.rejected as usize,
                    Err(error) => panic!("`{text}`: a peer that takes everything makes {error:?}"),
                }
            }
            exporter.stop().await;
            let taken = taken();
            assert_eq!(
                delivered, taken,
                "`{text}`: {delivered} items count as delivered, the peer has {taken}"
            );
        });
    }
}

impl<C: ComponentConfig<Builds = Box<dyn Receiver>>> Contract<'_, C> {
    /// Checks a receiver's account: what clients were told is accepted went through the door,
    /// to the item; what the door refuses or does not let in, and what comes after the stop, is
    /// never told to be accepted.
    ///
    /// `at` makes a configuration for an address; `send` sends a request there and says whether it
    /// was accepted.
    pub fn receiver_account(
        &self,
        at: impl Fn(&str) -> String,
        send: impl Fn(&str, Signal, &[u8]) -> bool + Clone + Send + 'static,
    ) {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("there are free ports");
        let address = free.local_addr().expect("it is bound").to_string();
        drop(free);
        let text = at(&address);
        runtime(false).block_on(async {
            let mut receiver = read::<C>(&text)
                .build(&self.context("receiver"))
                .unwrap_or_else(|error| panic!("`{text}`: {error}"));
            let door = Arc::new(FakeDoor::default());
            let started = receiver.start(door.receiver(id::<C>())).await;
            started.unwrap_or_else(|error| panic!("`{text}`: {error}"));
            // Sends everything and gives the items that were accepted.
            let send_all = async || {
                let (send, address, signals) = (send.clone(), address.clone(), self.signals());
                let sent = tokio::task::spawn_blocking(move || {
                    let all = signals.into_iter().flat_map(some);
                    let accepted = all.filter(|payload| {
                        let bytes = payload.segments().iter().map(|s| s.bytes().to_vec());
                        send(
                            &address,
                            payload.signal(),
                            &bytes.collect::<Vec<_>>().concat(),
                        )
                    });
                    accepted.map(|payload| payload.items()).sum::<usize>()
                });
                sent.await.expect("the client does not panic")
            };
            let accepted = send_all().await;
            assert!(accepted > 0, "`{text}` accepts nothing");
            assert_eq!(
                accepted,
                door.items(),
                "`{text}`: accepted is not what came in"
            );
            let _ = door.take();
            door.answer(Some(refusal()));
            assert_eq!(
                send_all().await,
                0,
                "`{text}` accepts what the pipelines refuse"
            );
            assert_eq!(
                door.items(),
                accepted,
                "`{text}` does not offer what it is asked to"
            );
            let _ = door.take();
            door.answer(Some(Outcome::Delivered));
            let Outcome::Refused(shut) = refusal() else {
                return;
            };
            door.shut(Some(Shut::Refused(shut)));
            assert_eq!(
                send_all().await,
                0,
                "`{text}` accepts before a door that is shut"
            );
            assert_eq!(door.items(), 0, "`{text}` passes a door that is shut");
            door.shut(None);
            receiver.stop().await;
            assert_eq!(send_all().await, 0, "`{text}` accepts after its stop");
            assert_eq!(door.items(), 0, "`{text}` takes data after its stop");
        });
    }
}
