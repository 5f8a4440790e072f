package ottavo.sdk;

import com.google.protobuf.StringValue;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.Context;
import io.grpc.Contexts;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.protobuf.ProtoUtils;
import io.grpc.stub.AbstractBlockingStub;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import java.util.Iterator;

/** A gRPC service of the application's own, without generated code: its messages are well-known types. */
final class Greeter {
  static final Metadata.Key<String> ORDER = Metadata.Key.of("x-order", Metadata.ASCII_STRING_MARSHALLER);

  private static final String NAME = "ottavo.sdk.Greeter";
  private static final MethodDescriptor<StringValue, StringValue> GREET = method(MethodType.UNARY, "Greet");
  private static final MethodDescriptor<StringValue, StringValue> COUNT = method(MethodType.SERVER_STREAMING, "Count");
  private static final Context.Key<String> CURRENT_ORDER = Context.key("order");

  private Greeter() {}

  private static MethodDescriptor<StringValue, StringValue> method(MethodType type, String name) {
    return MethodDescriptor.<StringValue, StringValue>newBuilder()
        .setType(type)
        .setFullMethodName(MethodDescriptor.generateFullMethodName(NAME, name))
        .setRequestMarshaller(ProtoUtils.marshaller(StringValue.getDefaultInstance()))
        .setResponseMarshaller(ProtoUtils.marshaller(StringValue.getDefaultInstance()))
        .build();
  }

  static ServerServiceDefinition service() {
    return ServerServiceDefinition.builder(NAME)
        .addMethod(GREET, ServerCalls.asyncUnaryCall(Greeter::greet))
        .addMethod(COUNT, ServerCalls.asyncServerStreamingCall(Greeter::count))
        .build();
  }

  /** Gives methods the order in a call's metadata. */
  static ServerInterceptor interceptor() {
    return new ServerInterceptor() {
      @Override
      public <Q, A> ServerCall.Listener<Q> interceptCall(
          ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
        Context context = Context.current().withValue(CURRENT_ORDER, headers.get(ORDER));
        return Contexts.interceptCall(context, call, headers, next);
      }
    };
  }

  private static void greet(StringValue request, StreamObserver<StringValue> answers) {
    if (request.getValue().isEmpty()) {
      answers.onError(Status.OUT_OF_RANGE.withDescription("who?").asRuntimeException());
      return;
    }
    answers.onNext(StringValue.of("hello " + request.getValue() + ", order " + CURRENT_ORDER.get()));
    answers.onCompleted();
  }

  private static void count(StringValue request, StreamObserver<StringValue> answers) {
    for (int number = 0; number < Integer.parseInt(request.getValue()); number++) {
      answers.onNext(StringValue.of(String.valueOf(number)));
    }
    answers.onCompleted();
  }

  /** The client. */
  static final class Stub extends AbstractBlockingStub<Stub> {
    Stub(Channel channel) {
      this(channel, CallOptions.DEFAULT);
    }

    private Stub(Channel channel, CallOptions options) {
      super(channel, options);
    }

    @Override
    protected Stub build(Channel channel, CallOptions options) {
      return new Stub(channel, options);
    }

    String greet(String name) {
      return ClientCalls.blockingUnaryCall(getChannel(), GREET, getCallOptions(), StringValue.of(name)).getValue();
    }

    Iterator<StringValue> count(int last) {
      return ClientCalls.blockingServerStreamingCall(
          getChannel(), COUNT, getCallOptions(), StringValue.of(String.valueOf(last)));
    }
  }
}
