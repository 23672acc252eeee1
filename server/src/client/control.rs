//! Control requests: JSON in text messages, beside the frames.

use std::future::poll_fn;

use fanlight_core::{Event, Tag};
use serde_json::Value;
use tokio_tungstenite::tungstenite::protocol::Message;

use super::{Client, ClientError, owned};

impl Client {
    /// Asks something of the server beside its broker, as `{"clock": {"advance": "30s"}}`, and gives
    /// the answer. What is asked for has been done when the answer comes, and every event that it
    /// caused for this connection came before it, for [`Client::next`].
    pub async fn control(&mut self, mut ask: Value) -> Result<Value, ClientError> {
        let id = self.next_tag();
        self.last_tag = id.0;
        if let Some(ask) = ask.as_object_mut() {
            ask.insert("id".to_owned(), id.0.into());
        }
        // What arrived before cannot answer it.
        let mut at = self.arrived.len();
        self.text = Some(Message::Text(ask.to_string().into()));
        self.flush().await?;
        loop {
            while let Some(text) = self.answers.pop_front() {
                let Ok(Value::Object(mut answer)) = serde_json::from_str(&text) else { continue };
                if answer.remove("id") != Some(id.0.into()) {
                    continue;
                }
                if let Some(error) = answer.remove("error") {
                    let part = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
                    return Err(ClientError::NotDone {
                        code: part("code"),
                        message: part("message"),
                    });
                }
                return Ok(Value::Object(answer));
            }
            while at < self.arrived.len() {
                // An older server takes no text.
                if let Event::Refused { tag: Tag(0), refusal } = self.arrived[at].event()? {
                    return Err(ClientError::Refused(owned(refusal)));
                }
                at += 1;
            }
            poll_fn(|cx| self.poll_read(cx)).await?;
        }
    }
}
