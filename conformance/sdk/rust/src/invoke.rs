//! Invocation of this program through its own sidecar, and proxying of its own gRPC service.

use dapr::client::InvokeServiceRequest;
use prost_types::Any;
use serde_json::{Value, json};
use tokio_stream::StreamExt;
use tonic::Request;
use tonic::metadata::MetadataValue;

use crate::Program;
use crate::app::greeter::greeter_client::GreeterClient;
use crate::facts::Wrong;

impl Program {
    pub async fn invoke(&mut self) -> Result<(), Wrong> {
        let text = Any { type_url: String::new(), value: b"text".to_vec() };
        let answer = self.dapr.invoke_service(self.app_id.as_str(), "echo", Some(text)).await?;
        let echo: Value = serde_json::from_slice(&answer.data.unwrap_or_default().value)?;
        self.facts.equal("invoke: body arrives", &echo["body"], &json!("text"))?;
        self.facts.equal("invoke: content type comes back", answer.content_type.as_str(), "application/json")?;
        let failed = self.dapr.invoke_service(self.app_id.as_str(), "failing", None).await;
        self.facts.error("invoke: the application's error comes back", failed, "short and stout")?;
        let missing = self.dapr.invoke_service(self.app_id.as_str(), "no such method", None).await;
        self.facts.error("invoke: a missing method is an error", missing, "code: Unimplemented")?;
        // dapr::Client sends neither metadata nor a content type.
        let mut request = Request::new(InvokeServiceRequest {
            id: self.app_id.clone(),
            message: Some(dapr::appcallback::InvokeRequest {
                method: "echo".to_owned(),
                data: Some(Any { type_url: String::new(), value: b"{}".to_vec() }),
                content_type: "application/json".to_owned(),
                ..Default::default()
            }),
        });
        request.metadata_mut().insert("x-order", MetadataValue::from_static("42"));
        let answer = self.generated.invoke_service(request).await?.into_inner();
        let echo: Value = serde_json::from_slice(&answer.data.unwrap_or_default().value)?;
        let expected = json!({"body": "{}", "order": "42", "type": "application/json"});
        self.facts.equal("invoke: metadata and content type arrive", echo, expected)?;
        self.proxy().await
    }

    async fn proxy(&mut self) -> Result<(), Wrong> {
        let app_id: MetadataValue<_> = self.app_id.parse()?;
        let mut greeter = GreeterClient::with_interceptor(self.channel.clone(), move |mut request: Request<()>| {
            request.metadata_mut().insert("dapr-app-id", app_id.clone());
            request.metadata_mut().insert("x-order", MetadataValue::from_static("42"));
            Ok(request)
        });
        let answer = greeter.greet("Ada".to_owned()).await?;
        let spout = answer.metadata().get("x-spout").cloned();
        self.facts.equal("proxy: a call of an own service", answer.into_inner(), "hello Ada, order 42")?;
        self.facts.equal("proxy: metadata comes back", spout, Some(MetadataValue::from_static("here")))?;
        let failed = greeter.greet(String::new()).await.map_err(|status| (status.code(), status.message().to_owned()));
        let expected = (tonic::Code::OutOfRange, "who?".to_owned());
        self.facts.equal("proxy: the service's error comes back", failed.err(), Some(expected))?;
        let numbers: Vec<String> = greeter.count("3".to_owned()).await?.into_inner().collect::<Result<_, _>>().await?;
        self.facts.equal("proxy: a stream of answers", numbers, ["0", "1", "2"])?;
        let lost = GreeterClient::new(self.channel.clone()).greet("Ada".to_owned()).await;
        self.facts.error("proxy: a call without an app id is an error", lost, "dapr-callee-app-id or dapr-app-id")
    }
}
