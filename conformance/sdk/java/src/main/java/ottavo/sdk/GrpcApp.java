package ottavo.sdk;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.protobuf.Empty;
import io.dapr.v1.AppCallbackGrpc;
import io.dapr.v1.CommonProtos.InvokeRequest;
import io.dapr.v1.CommonProtos.InvokeResponse;
import io.dapr.v1.DaprAppCallbackProtos.ListInputBindingsResponse;
import io.dapr.v1.DaprAppCallbackProtos.ListTopicSubscriptionsResponse;
import io.dapr.v1.DaprAppCallbackProtos.TopicEventRequest;
import io.dapr.v1.DaprAppCallbackProtos.TopicEventResponse;
import io.dapr.v1.DaprAppCallbackProtos.TopicEventResponse.TopicEventResponseStatus;
import io.dapr.v1.DaprAppCallbackProtos.TopicRoutes;
import io.dapr.v1.DaprAppCallbackProtos.TopicRule;
import io.dapr.v1.DaprAppCallbackProtos.TopicSubscription;
import io.grpc.Status;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;

/** The application over gRPC: the callbacks that the SDK generates, and a service of its own beside them. */
final class GrpcApp extends AppCallbackGrpc.AppCallbackImplBase {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Inbox inbox;

  private GrpcApp(Inbox inbox) {
    this.inbox = inbox;
  }

  static void start(int port, Inbox inbox) throws IOException {
    NettyServerBuilder.forAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), port))
        .addService(new GrpcApp(inbox))
        .addService(Greeter.service())
        .intercept(Greeter.interceptor())
        .build()
        .start();
  }

  @Override
  public void onInvoke(InvokeRequest request, StreamObserver<InvokeResponse> answers) {
    if (!request.getMethod().equals("echo")) {
      answers.onError(Status.NOT_FOUND.withDescription("short and stout").asRuntimeException());
      return;
    }
    String verb = request.getHttpExtension().getVerb().name();
    String query = request.getHttpExtension().getQuerystring();
    String body = "[\"" + verb + "\",\"" + query + "\"," + request.getData().getValue().toStringUtf8() + "]";
    Any data = Any.newBuilder().setValue(ByteString.copyFromUtf8(body)).build();
    answers.onNext(InvokeResponse.newBuilder().setData(data).setContentType("application/json").build());
    answers.onCompleted();
  }

  @Override
  public void listTopicSubscriptions(Empty request, StreamObserver<ListTopicSubscriptionsResponse> answers) {
    ListTopicSubscriptionsResponse.Builder all = ListTopicSubscriptionsResponse.newBuilder();
    for (String topic : new String[] {"programmatic", "retried", "dead", "bulk"}) {
      all.addSubscriptions(subscription(topic));
    }
    all.addSubscriptions(subscription("dropped").setDeadLetterTopic("dead"));
    all.addSubscriptions(subscription("refused").setDeadLetterTopic("dead"));
    all.addSubscriptions(subscription("raw").putMetadata("rawPayload", "true"));
    TopicRule special = TopicRule.newBuilder().setMatch("event.type == \"special\"").setPath("/special").build();
    all.addSubscriptions(subscription("routed")
        .setRoutes(TopicRoutes.newBuilder().addRules(special).setDefault("/otherwise")));
    answers.onNext(all.build());
    answers.onCompleted();
  }

  private static TopicSubscription.Builder subscription(String topic) {
    return TopicSubscription.newBuilder().setPubsubName("pubsub").setTopic(topic);
  }

  @Override
  public void onTopicEvent(TopicEventRequest request, StreamObserver<TopicEventResponse> answers) {
    // By route where there is one, also that of resources/subscriptions.yaml.
    String name = request.getPath().isEmpty() ? request.getTopic() : request.getPath().substring(1);
    int count = inbox.put(name, new Inbox.Event(request.getSource(), request.getType(), request.getTopic(),
        request.getPubsubName(), request.getDataContentType(), data(request)));
    TopicEventResponseStatus status = switch (name) {
      case "dropped" -> TopicEventResponseStatus.DROP;
      case "refused" -> TopicEventResponseStatus.RETRY;
      case "retried" -> count == 1 ? TopicEventResponseStatus.RETRY : TopicEventResponseStatus.SUCCESS;
      default -> TopicEventResponseStatus.SUCCESS;
    };
    answers.onNext(TopicEventResponse.newBuilder().setStatus(status).build());
    answers.onCompleted();
  }

  private static Object data(TopicEventRequest request) {
    byte[] bytes = request.getData().toByteArray();
    if (request.getDataContentType().equals("text/plain")) {
      return request.getData().toStringUtf8();
    }
    if (!request.getDataContentType().equals("application/json")) {
      return bytes;
    }
    try {
      return JSON.readValue(bytes, Object.class);
    } catch (IOException notJson) {
      return bytes;
    }
  }

  @Override
  public void listInputBindings(Empty request, StreamObserver<ListInputBindingsResponse> answers) {
    answers.onNext(ListInputBindingsResponse.getDefaultInstance());
    answers.onCompleted();
  }
}
