"""The events that the application was given, by topic."""

import threading
from collections import defaultdict

from facts import wait_for


class Inbox:
    def __init__(self):
        self._events = defaultdict(list)
        self._lock = threading.Lock()

    def put(self, topic, event):
        """Keeps an event and says how many came on this topic, with it."""
        with self._lock:
            self._events[topic].append(event)
            return len(self._events[topic])

    def get(self, topic, count=1):
        """The first `count` events of `topic`, once that many have come."""
        wait_for(f'{count} events on {topic}', lambda: len(self._events[topic]) >= count)
        with self._lock:
            return self._events[topic][:count]
