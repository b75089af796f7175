"""Plays paho-mqtt for Python, 1.6 or 2, against a broker: paho_client.py HOST PORT VERSION PREFIX, VERSION
being 3, 4 or 5. It ends with 0 when everything came as it should, and else says what did not."""
import queue
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

host, port, version, prefix = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]


class Client:
    """A connection, and a queue of what came over it."""

    def __init__(self, name="", clean=True, will=None, expiry=0):
        if not name and version == 3:
            name = "%s%d" % (prefix[-10:], id(self) % 1000000)  # 3.1 has no empty ones
        options = {"client_id": name, "protocol": version}
        if version < 5:
            options["clean_session"] = clean
        if hasattr(mqtt, "CallbackAPIVersion"):
            options["callback_api_version"] = mqtt.CallbackAPIVersion.VERSION1
        self.mqtt = mqtt.Client(**options)
        self.events, self.messages = queue.Queue(), queue.Queue()
        self.mqtt.on_connect = lambda c, u, flags, code, *rest: self.events.put(("connect", flags, code))
        self.mqtt.on_subscribe = lambda c, u, mid, *rest: self.events.put(("subscribe", mid))
        self.mqtt.on_message = lambda c, u, message: self.messages.put(message)
        if will:
            self.mqtt.will_set(will, "gone", 1)
        extra = {}
        if version == 5:
            extra["clean_start"] = clean
            if expiry:
                extra["properties"] = Properties(PacketTypes.CONNECT)
                extra["properties"].SessionExpiryInterval = expiry
        self.mqtt.connect(host, port, 30, **extra)
        self.mqtt.loop_start()
        _, self.flags, code = self.events.get(timeout=10)
        assert code == 0, "connect: %s" % code

    def subscribe(self, topic, qos, **more):
        self.mqtt.subscribe(topic, qos, **more)
        self.events.get(timeout=10)

    def publish(self, topic, payload, qos, **more):
        info = self.mqtt.publish(topic, payload, qos, **more)
        info.wait_for_publish()

    def receive(self):
        return self.messages.get(timeout=10)

    def leave(self):
        self.mqtt.disconnect()
        self.mqtt.loop_stop()


def every_qos():
    c = Client()
    c.subscribe(prefix + "/qos/#", 2)
    for i in range(30):
        c.publish("%s/qos/%d" % (prefix, i % 2), "ü %d" % i, i % 3)
        got = c.receive()
        assert got.payload.decode() == "ü %d" % i and got.qos == i % 3, (got.payload, got.qos, i)
    c.leave()


def retained():
    c = Client()
    c.publish(prefix + "/retained", "kept", 1, retain=True)
    c.subscribe(prefix + "/retained", 1)
    got = c.receive()
    assert got.payload == b"kept" and got.retain, (got.payload, got.retain)
    c.publish(prefix + "/retained", "", 1, retain=True)
    c.leave()


def will():
    watch = Client()
    watch.subscribe(prefix + "/will", 1)
    lost = Client(will=prefix + "/will")
    lost.mqtt.loop_stop()
    lost.mqtt.socket().close()
    assert watch.receive().payload == b"gone"
    watch.leave()


def session():
    name = prefix[-20:] + "s"
    c = Client(name, clean=False, expiry=60)
    c.subscribe(prefix + "/session", 2)
    c.leave()
    other = Client()
    for i in range(20):
        other.publish(prefix + "/session", str(i), 1 + i % 2)
    other.leave()
    c = Client(name, clean=False, expiry=60)
    assert version == 3 or c.flags["session present"] == 1, c.flags
    came = [c.receive().payload.decode() for _ in range(20)]
    for odd in (0, 1):  # each QoS has its own order
        assert [m for m in came if int(m) % 2 == odd] == [str(i) for i in range(odd, 20, 2)], came
    c.leave()
    Client(name).leave()


def properties():
    c = Client()
    number = Properties(PacketTypes.SUBSCRIBE)
    number.SubscriptionIdentifier = 77
    c.subscribe(prefix + "/properties", 1, properties=number)
    p = Properties(PacketTypes.PUBLISH)
    p.PayloadFormatIndicator, p.MessageExpiryInterval, p.ResponseTopic = 1, 100, "answers"
    p.CorrelationData, p.ContentType = b"\x00\xff", "text"
    p.UserProperty = [("a", "1"), ("b", "2"), ("a", "3")]
    c.publish(prefix + "/properties", "x", 1, properties=p)
    got = c.receive().properties
    assert got.ResponseTopic == "answers" and got.CorrelationData == b"\x00\xff" and got.ContentType == "text", got
    assert got.MessageExpiryInterval <= 100 and got.PayloadFormatIndicator == 1 and got.SubscriptionIdentifier == [77], got
    assert got.UserProperty == [("a", "1"), ("b", "2"), ("a", "3")], got
    c.leave()


for step in (every_qos, retained, will, session) + ((properties,) if version == 5 else ()):
    try:
        step()
    except Exception as err:
        sys.exit("%s: %s %s" % (step.__name__, type(err).__name__, err))
    print("ok:", step.__name__, flush=True)
