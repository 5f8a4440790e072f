"""The application over gRPC: dapr.ext.grpc, with a service of its own beside Dapr's."""

import json
import threading

import grpc
from dapr.ext.grpc import App, InvokeMethodRequest, InvokeMethodResponse, Rule, SubscriptionMessage, TopicEventResponse
from google.protobuf.wrappers_pb2 import StringValue

PUBSUB = 'pubsub'
SERVICE = 'ottavo.sdk.Greeter'


def start(port, inbox):
    """Serves on `port` in the background."""
    app = App()
    methods(app)
    topics(app, inbox)
    app.register_health_check(lambda: None)
    app.add_external_service(lambda service, server: server.add_generic_rpc_handlers((service,)), greeter())
    threading.Thread(target=lambda: app.run(port, '127.0.0.1'), daemon=True).start()


def methods(app):
    @app.method('echo')
    def echo(request: InvokeMethodRequest):
        [order] = request.metadata.get('x-order', [None])
        body = {'header': order, 'body': request.text()}
        return InvokeMethodResponse(json.dumps(body), 'application/json')

    @app.method('failing')
    def failing(_request):
        raise ValueError('short and stout')


def greeter():
    """A service without generated code: its messages are well-known types."""

    def greet(request, context):
        if request.value == '':
            context.abort(grpc.StatusCode.OUT_OF_RANGE, 'who?')
        context.send_initial_metadata((('x-spout', 'here'),))
        order = dict(context.invocation_metadata()).get('x-order')
        return StringValue(value=f'hello {request.value}, order {order}')

    def count(request, _context):
        for number in range(int(request.value)):
            yield StringValue(value=str(number))

    codec = {'request_deserializer': StringValue.FromString, 'response_serializer': StringValue.SerializeToString}
    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            'Greet': grpc.unary_unary_rpc_method_handler(greet, **codec),
            'Count': grpc.unary_stream_rpc_method_handler(count, **codec),
        },
    )


def topics(app, inbox):
    @app.subscribe(PUBSUB, 'programmatic')
    def programmatic(event: SubscriptionMessage):
        inbox.put('programmatic', event)

    @app.subscribe(PUBSUB, 'routed', rule=Rule('event.type == "special"', 1))
    def special(event: SubscriptionMessage):
        inbox.put('special', event)

    @app.subscribe(PUBSUB, 'routed', rule=Rule('event.data.order > 1', 2))
    def later(event: SubscriptionMessage):
        inbox.put('later', event)

    @app.subscribe(PUBSUB, 'retried')
    def retried(event: SubscriptionMessage):
        return TopicEventResponse('retry' if inbox.put('retried', event) == 1 else 'success')

    @app.subscribe(PUBSUB, 'refused', dead_letter_topic='dead')
    def refused(event: SubscriptionMessage):
        inbox.put('refused', event)
        return TopicEventResponse('retry')

    @app.subscribe(PUBSUB, 'dropped', dead_letter_topic='dead')
    def dropped(event: SubscriptionMessage):
        inbox.put('dropped', event)
        return TopicEventResponse('drop')

    @app.subscribe(PUBSUB, 'dead')
    def dead(event: SubscriptionMessage):
        inbox.put('dead', event)

    @app.subscribe(PUBSUB, 'raw', metadata={'rawPayload': 'true'})
    def raw(event: SubscriptionMessage):
        inbox.put('raw', event)

    @app.subscribe(PUBSUB, 'bulk')
    def bulk(event: SubscriptionMessage):
        inbox.put('bulk', event)

    # The extension finds a handler by topic or by path, and has no other way to give one to a path:
    # this topic has the path of resources/subscriptions.yaml as its name.
    @app.subscribe(PUBSUB, '/declared')
    def declared(event: SubscriptionMessage):
        inbox.put('declared', event)
