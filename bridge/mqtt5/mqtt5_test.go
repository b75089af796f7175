package mqtt5

import (
	"testing"

	"go.uber.org/goleak"

	"sluice/bridge"
	"sluice/bridge/dial"
	"sluice/bridge/uplinktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func uplink(t testing.TB, address string, change func(*Options)) *Uplink {
	t.Helper()
	o := DefaultOptions()
	o.Address = address
	if change != nil {
		change(&o)
	}
	u, err := New(o, "line-3", uplinktest.Quiet())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestUplink(t *testing.T) {
	uplinktest.RunMQTT(t, uplinktest.MQTT{
		Login:  map[string]byte{"client id": 0x85, "password": 0x86, "not authorised": 0x87, "code 0xf7": 0xf7, "protocol": 77},
		SaysNo: true, Load: 200, AckedLate: 20,
		Close: dial.HurryTimeout,
		Open: func(t testing.TB, want uplinktest.MQTTOptions) bridge.Uplink {
			return uplink(t, want.Address, func(o *Options) {
				o.Username, o.PasswordFile = want.Username, want.PasswordFile
				o.TLS = dial.TLS{CA: want.CA, Cert: want.Cert, Key: want.Key, ServerName: want.ServerName}
				if want.ConnectTimeout > 0 {
					o.ConnectTimeout = want.ConnectTimeout
				}
			})
		},
	})
}
