package bus

import "testing"

func TestAddressesOfLines(t *testing.T) {
	for text, good := range map[string]bool{
		"bus://rs485-1": true, "tcp://10.0.0.7:4001": true, "tcp://[fe80::1]:4001": true, "tcp://converter.local:1": true,
		"": false, "bus://": false, "bus://a/b": false, "bus://a b": false, "tcp://10.0.0.7": false, "tcp://:4001": false,
		"tcp://h:0": false, "tcp://h:65536": false, "tcp://h:x": false, "rs485-1": false, "udp://h:1": false,
	} {
		var a Address
		if err := a.UnmarshalText([]byte(text)); (err == nil) != good || good && string(a) != text {
			t.Errorf("%q is %q, %v", text, a, err)
		}
	}
}
