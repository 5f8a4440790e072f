"""Publish and subscribe: programmatic, declarative, streaming, bulk, raw, retried and dead."""

import base64
import json

import grpc
from dapr.clients import BulkPublishEntry
from dapr.clients.exceptions import DaprGrpcError
from dapr.clients.grpc._response import TopicEventResponse

from facts import equal, error, holds, wait_for

PUBSUB = 'pubsub'


def prove(dapr, inbox, protocol, app_id):
    read = OverHttp if protocol == 'http' else OverGrpc
    delivered(dapr, inbox, read, app_id)
    answers(dapr, inbox, read)
    payloads(dapr, inbox, read)
    if protocol == 'grpc':
        routed(dapr, inbox)
    streams(dapr)
    refused = error(DaprGrpcError, lambda: dapr.publish_event('nobody', 'topic', 'data'))
    equal('pubsub: an unknown component is an error', refused.code(), grpc.StatusCode.INVALID_ARGUMENT)


class OverHttp:
    """An event as the application gets it over HTTP: the cloud event's JSON."""

    @staticmethod
    def data(event):
        return event['data']

    @staticmethod
    def attributes(event):
        return tuple(event[name] for name in ('source', 'type', 'topic', 'pubsubname', 'datacontenttype', 'specversion'))

    @staticmethod
    def raw(event):
        return base64.b64decode(event['data_base64'])


class OverGrpc:
    """An event as the application gets it over gRPC."""

    @staticmethod
    def data(event):
        return event.data()

    @staticmethod
    def attributes(event):
        return (
            event.source(),
            event.type(),
            event.topic(),
            event.pubsub_name(),
            event.data_content_type(),
            event.spec_version(),
        )

    @staticmethod
    def raw(event):
        return event.raw_data()


def publish(dapr, topic, value, **metadata):
    dapr.publish_event(
        PUBSUB, topic, json.dumps(value), data_content_type='application/json', publish_metadata=metadata
    )


def delivered(dapr, inbox, read, app_id):
    publish(dapr, 'programmatic', {'order': 1})
    [event] = inbox.get('programmatic')
    equal('pubsub: programmatic subscription', read.data(event), {'order': 1})
    equal(
        'pubsub: the cloud event is filled in',
        read.attributes(event),
        (app_id, 'com.dapr.event.sent', 'programmatic', PUBSUB, 'application/json', '1.0'),
    )
    publish(dapr, 'declared', {'order': 2})
    equal('pubsub: declarative subscription', read.data(inbox.get('declared')[0]), {'order': 2})


def answers(dapr, inbox, read):
    publish(dapr, 'retried', {'order': 3})
    again = [read.data(event) for event in inbox.get('retried', 2)]
    equal('pubsub: an answer RETRY brings the event again', again, [{'order': 3}, {'order': 3}])
    publish(dapr, 'dropped', {'order': 4})
    equal('pubsub: a dropped event goes to the dead letter topic', read.data(inbox.get('dead')[0]), {'order': 4})
    publish(dapr, 'refused', {'order': 5})
    equal('pubsub: an event refused to the end goes to the dead letter topic', read.data(inbox.get('dead', 2)[1]), {'order': 5})
    equal('pubsub: it was tried as often as the policy says', len(inbox.get('refused', 4)), 4)


def payloads(dapr, inbox, read):
    dapr.publish_event(PUBSUB, 'raw', b'\x00raw\xff', publish_metadata={'rawPayload': 'true'})
    equal('pubsub: raw payload', read.raw(inbox.get('raw')[0]), b'\x00raw\xff')
    cloud_event = {
        'specversion': '1.0',
        'id': 'mine',
        'source': 'sdk',
        'type': 'own',
        'datacontenttype': 'text/plain',
        'data': 'text',
    }
    dapr.publish_event(PUBSUB, 'programmatic', json.dumps(cloud_event), data_content_type='application/cloudevents+json')
    event = inbox.get('programmatic', 2)[1]
    equal('pubsub: a cloud event stays as it is', (read.data(event), read.attributes(event)[:2]), ('text', ('sdk', 'own')))
    response = dapr.publish_events(
        PUBSUB,
        'bulk',
        [BulkPublishEntry('"one"', entry_id='first'), '"two"', BulkPublishEntry('three', content_type='text/plain')],
        data_content_type='application/json',
    )
    equal('pubsub: bulk publish has no failed entry', response.failed_entries, [])
    got = sorted(read.data(event) for event in inbox.get('bulk', 3))
    equal('pubsub: bulk publish delivers each entry', got, ['one', 'three', 'two'])


def routed(dapr, inbox):
    publish(dapr, 'routed', {'order': 6})
    publish(dapr, 'routed', {'order': 6}, **{'cloudevent.type': 'special'})
    equal('pubsub: a rule chooses the handler by type', inbox.get('special')[0].data(), {'order': 6})
    equal('pubsub: a rule chooses the handler by data', inbox.get('later')[0].type(), 'com.dapr.event.sent')


def streams(dapr):
    stream = dapr.subscribe(PUBSUB, 'streamed', dead_letter_topic='streamed-dead')
    publish(dapr, 'streamed', {'order': 7})
    message = stream.next_message()
    equal('pubsub: streaming subscription', (message.data(), message.topic()), ({'order': 7}, 'streamed'))
    stream.respond_retry(message)
    message = stream.next_message()
    equal('pubsub: a stream is given a retried event again', message.data(), {'order': 7})
    stream.respond_success(message)
    dead = []
    close = dapr.subscribe_with_handler(PUBSUB, 'streamed-dead', lambda event: keep(dead, event))
    publish(dapr, 'streamed', {'order': 8})
    stream.respond_drop(stream.next_message())
    wait_for('a dead letter', lambda: dead)
    equal('pubsub: a stream with a handler, of dead letters', dead[0].data(), {'order': 8})
    close()
    stream.close()
    holds('pubsub: streams close', True)


def keep(events, event):
    events.append(event)
    return TopicEventResponse('success')
