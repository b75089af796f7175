package store

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"sluice/gateway/message"
)

// smallSeeds has a value of each kind.
func smallSeeds() map[byte][]byte {
	under, err := appendFlights(nil, 5, []Flight{{7, 6, FlightSent}, {8, 7, FlightSent}, {1, 90, FlightReceived}, {2, 91, FlightDone}, {3, 92, FlightSentExactly}})
	if err != nil {
		panic(err)
	}
	return map[byte][]byte{
		smallSession:      sessionValue{"client", 1 << 60, 5, 6, 7}.append(nil),
		smallReceived:     receivedValue{1 << 60, 9, []uint16{1, 2, 3, 900, 65535}}.append(nil),
		smallFlights:      flightsValue{1 << 60, 5, under}.append(nil),
		smallSubscription: subscriptionValue{1 << 60, Subscription{"a/+/#", 2, 77, 12}}.append(nil),
		smallGroup:        groupValue{"g", 1 << 60, 2, 5, 6, GroupSettings{MaxRetries: 3, Attributes: map[string]string{"a": "b"}}}.append(nil),
		smallOffsets:      offsetsValue{1 << 60, "t", []int64{-1, 0, 1 << 40}}.append(nil),
		smallTopic:        topicValue{"t", 3, TopicSettings{ReadQueues: 4, Kind: "fifo"}}.append(nil),
		smallRetained:     retainedValue{"a/b", 9, 10, 11}.append(nil),
		smallReplay:       appendPosition(nil, 77),
	}
}

// roundTrip decodes, encodes and decodes again.
func roundTrip[T any](body []byte, decode func([]byte) (T, error), encode func(T) []byte) error {
	v, err := decode(body)
	if err != nil {
		return nil
	}
	again, err := decode(encode(v))
	if err == nil && !reflect.DeepEqual(v, again) {
		err = errors.New("it is another")
	}
	return err
}

func roundTripSmall(kind byte, body []byte) error {
	switch kind {
	case smallSession:
		return roundTrip(body, decodeSession, func(v sessionValue) []byte { return v.append(nil) })
	case smallReceived:
		return roundTrip(body, decodeReceived, func(v receivedValue) []byte { return v.append(nil) })
	case smallFlights:
		if err := roundTrip(body, decodeFlights, func(v flightsValue) []byte { return v.append(nil) }); err != nil {
			return err
		}
		v, err := decodeFlights(body)
		if err != nil {
			return nil
		}
		under, _ := decodeRuns(v.upTo, v.runs)
		runs, err := appendFlights(nil, v.upTo, under)
		if err != nil {
			return err
		}
		if again, err := decodeRuns(v.upTo, runs); err != nil || !reflect.DeepEqual(under, again) {
			return errors.New("what is under way is another")
		}
		return nil
	case smallSubscription:
		return roundTrip(body, decodeSubscription, func(v subscriptionValue) []byte { return v.append(nil) })
	case smallGroup:
		return roundTrip(body, decodeGroup, func(v groupValue) []byte { return v.append(nil) })
	case smallOffsets:
		return roundTrip(body, decodeOffsets, func(v offsetsValue) []byte { return v.append(nil) })
	case smallTopic:
		return roundTrip(body, decodeTopic, func(v topicValue) []byte { return v.append(nil) })
	case smallRetained:
		return roundTrip(body, decodeRetained, func(v retainedValue) []byte { return v.append(nil) })
	case smallReplay:
		return roundTrip(body, decodeReplay, func(at message.Position) []byte { return appendPosition(nil, at) })
	}
	return nil
}

func TestSmallValuesSurviveARoundTrip(t *testing.T) {
	for kind, body := range smallSeeds() {
		if err := checkSmall(smallValue{kind: kind, body: body}); err != nil {
			t.Errorf("%q: %v", kind, err)
		}
		if err := roundTripSmall(kind, body); err != nil {
			t.Errorf("%q: %v", kind, err)
		}
		if err := checkSmall(smallValue{kind: kind, body: append(bytes.Clone(body), 0xff)}); err == nil {
			t.Errorf("%q is taken with a byte too many", kind)
		}
		for n := range body {
			if err := checkSmall(smallValue{kind: kind, body: body[:n]}); err == nil && kind != smallReceived && kind != smallFlights {
				t.Errorf("%q is taken with %d of %d bytes", kind, n, len(body))
			}
		}
	}
}

// FuzzSmallBody feeds the decoders of all kinds, past their checksums.
func FuzzSmallBody(f *testing.F) {
	for kind, body := range smallSeeds() {
		f.Add(kind, body)
	}
	f.Fuzz(func(t *testing.T, kind byte, body []byte) {
		if err := roundTripSmall(kind, body); err != nil {
			t.Errorf("%q %x does not survive a round trip: %v", kind, body, err)
		}
		if err := checkSmall(smallValue{kind: kind, body: body}); err != nil && !errors.Is(err, errValue) {
			t.Errorf("%q %x is refused with %v", kind, body, err)
		}
		key := smallKey(kind, 7)
		if v, err := decodeSmall(key, sealSmall(key, present, body)); err == nil && !bytes.Equal(v.body, body) {
			t.Errorf("%x came back as %x", body, v.body)
		}
	})
}

// FuzzSmallEntry feeds whole entries as the database, or an export, may have them.
func FuzzSmallEntry(f *testing.F) {
	var all []exportedValue
	for kind, body := range smallSeeds() {
		key := smallKey(kind, 7)
		f.Add(key, sealSmall(key, present, body))
		f.Add(key, sealSmall(key, absent, nil))
		all = append(all, exportedValue{key, sealSmall(key, present, body)})
	}
	key := carriedKey(7)
	g := &group{first: 9}
	g.add(&message.Message{Topic: "t", Payload: []byte("x")}, queuePlace{}, 100, nil, 0)
	f.Add(key, appendBlock(nil, g.plain, g.chunks, g.first, g.base))
	f.Add(key, sealSmall(key, absent, nil))
	f.Add([]byte("values"), appendValues(nil, all))
	user, err := encodeJSON(userKey("u"), User{Name: "u"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(userKey("u"), user)
	f.Fuzz(func(t *testing.T, key, value []byte) {
		found := newFound()
		if err := found.smallValue(key, value); err != nil && !errors.Is(err, errValue) {
			t.Errorf("refused with %v", err)
		}
		_ = soundSmall(key, value)
		_ = soundAdmin(key, value)
		values, err := decodeValues(nil, value, soundSmall)
		if err != nil {
			if !errors.Is(err, ErrExport) {
				t.Errorf("refused with %v", err)
			}
			return
		}
		if again, err := decodeValues(nil, appendValues(nil, values), soundSmall); err != nil || !reflect.DeepEqual(values, again) {
			t.Errorf("%d values do not survive a round trip: %v", len(values), err)
		}
	})
}
