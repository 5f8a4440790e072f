//! Says what becomes of a message by the word in its `data`, and writes down what it was given.

wit_bindgen::generate!({
    path: "../../../wit",
    world: "ottavo:host/events",
    generate_all,
});

use exports::ottavo::runtime::event_handler::{Event, Guest, Outcome};

struct Events;

export!(Events);

impl Guest for Events {
    fn handle(event: Event) -> Outcome {
        let envelope = String::from_utf8(event.envelope).expect("an envelope is text");
        println!("{} {} {} {envelope}", event.pubsub, event.topic, event.path);
        let says = |word: &str| envelope.contains(&format!("\"data\":\"{word}\""));
        match () {
            () if says("drop") => Outcome::Drop,
            () if says("retry") => Outcome::Retry,
            () if says("trap") => panic!("a message too much"),
            () => Outcome::Success,
        }
    }
}
