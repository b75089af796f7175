package remoting

import (
	"errors"
	"reflect"
	"testing"
)

func TestParseQueueMapTakesEveryLibrarysForm(t *testing.T) {
	queue := MessageQueue{Topic: "t", BrokerName: "b", QueueID: 3}
	for text, want := range map[string][]QueueEntry{
		`{}`:   {},
		" { }": {},
		`{{"brokerName":"b","queueId":3,"topic":"t"}:{"offset":1}}`:                    {{queue, []byte(`{"offset":1}`)}},
		`{"{\"brokerName\":\"b\",\"queueId\":3,\"topic\":\"t\"}":7}`:                   {{queue, []byte(`7`)}},
		"{ {topic : \"t\", queueId:\"3\", brokerName:\"b\", x:[{}]} :\n[1, \"\\n\"] }": {{queue, []byte(`[1, "\n"]`)}},
		`{{"topic":"t\u0031","brokerName":null}:"a\"}",{}:null}`:                       {{MessageQueue{Topic: "t1"}, []byte(`"a\"}"`)}, {Value: []byte("null")}},
	} {
		in := []byte(text)
		got, err := ParseQueueMap(in)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", text, err, got, want)
		}
		if string(in) != text {
			t.Errorf("%s became %s", text, in)
		}
	}
}

func TestParseQueueMapRefusesTheRest(t *testing.T) {
	for _, text := range []string{
		``, `[]`, `{`, `{}x`, `{"t":1}`, `{t:1}`, `{{}}`, `{{}:}`, `{{}:1,}`, `{{"queueId":"x"}:1}`, `{{"queueId":3000000000}:1}`,
		`{{"topic":{}}:1}`, `{{"topic":"t"}:1 {}:2}`, `{"{}x":1}`, `{"{":1}`, `{"\"{}\"":1}`, `{{}:"x}`,
	} {
		if got, err := ParseQueueMap([]byte(text)); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	many := []byte("{{}:0")
	for range maxEntries {
		many = append(many, ",{}:0"...)
	}
	if _, err := ParseQueueMap(append(many, '}')); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too many queues: %v", err)
	}
}

func TestIntMaps(t *testing.T) {
	entries := []IntEntry{{0, []byte(`"a:1"`)}, {-1, []byte(`{"x":[1]}`)}}
	for _, c := range []struct {
		quoted bool
		text   string
	}{
		{true, `{"0":"a:1","-1":{"x":[1]}}`},
		{false, `{0:"a:1",-1:{"x":[1]}}`},
	} {
		if got := string(AppendIntMap(nil, entries, c.quoted)); got != c.text {
			t.Errorf("quoted %v: got %s, want %s", c.quoted, got, c.text)
		}
		if got, err := ParseIntMap([]byte(c.text)); err != nil || !reflect.DeepEqual(got, entries) {
			t.Errorf("%s: got %+v, %v", c.text, got, err)
		}
	}
	for _, text := range []string{``, `[]`, `{x:1}`, `{0 1}`, `{0:1`, `{0:1,}`, `{"":1}`, `{0:1}{}`, `{99999999999999999999:1}`} {
		if got, err := ParseIntMap([]byte(text)); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

func FuzzParseQueueMap(f *testing.F) {
	f.Add(javaWrote(f, "queuemap-5.5.0"))
	f.Add([]byte(`{"{\"brokerName\":\"b\",\"queueId\":3,\"topic\":\"t\"}":{"a":[1,{2:3}]}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		entries, err := ParseQueueMap(in)
		if err != nil {
			return
		}
		b := AppendQueueMap(nil, entries)
		if again, err := ParseQueueMap(b); err != nil || !reflect.DeepEqual(again, entries) {
			t.Errorf("%q does not survive a round trip: %v\nfirst %+v\nthen  %+v", in, err, entries, again)
		}
	})
}

func FuzzParseIntMap(f *testing.F) {
	f.Add(javaWrote(f, "intmap-5.5.0"))
	f.Add([]byte(`{"0":{"{}":1},-5:[]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		entries, err := ParseIntMap(in)
		if err != nil {
			return
		}
		if again, err := ParseIntMap(AppendIntMap(nil, entries, true)); err != nil || !reflect.DeepEqual(again, entries) {
			t.Errorf("%q does not survive a round trip: %v", in, err)
		}
	})
}
