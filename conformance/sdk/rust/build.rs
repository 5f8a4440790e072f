//! Generates client and server of the program's own gRPC service, without a compiler of protobuf: its messages are
//! well-known types.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let method = |name: &str, route: &str| {
        Method::builder()
            .name(name)
            .route_name(route)
            .input_type("String")
            .output_type("String")
            .codec_path("tonic_prost::ProstCodec")
    };
    let greeter = Service::builder()
        .name("Greeter")
        .package("ottavo.sdk")
        .method(method("greet", "Greet").build())
        .method(method("count", "Count").server_streaming().build())
        .build();
    Builder::new().compile(&[greeter]);
}
