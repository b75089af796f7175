package mqtt

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"sluice/bridge"
	"sluice/bridge/dial"
	"sluice/bridge/uplinktest"
)

func TestMain(m *testing.M) {
	if os.Getenv(childAddress) != "" {
		if err := beCloud(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

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
		Login: map[string]byte{"client id": 2, "password": 4, "not authorised": 5, "code 77": 77},
		Load:  500, AckedLate: 1000,
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
