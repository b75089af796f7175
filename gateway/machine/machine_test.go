package machine

import (
	"os"
	"reflect"
	"testing"
	"testing/fstest"
	"time"
)

func recorded(files map[string]string) fstest.MapFS {
	root := fstest.MapFS{}
	for name, text := range files {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return root
}

// board is what a small ARM board has, as far as it is read.
var board = map[string]string{
	"proc/device-tree/model":    "Radxa ROCK 3A\x00",
	"proc/sys/kernel/osrelease": "6.6.23-sluice\n",
	"proc/loadavg":              "0.42 0.31 0.20 1/123 4567\n",
	"proc/meminfo":              "MemTotal:         254488 kB\nMemFree:           12000 kB\nMemAvailable:     101376 kB\n",
	"proc/uptime":               "86461.50 170000.00\n",
	"proc/self/cgroup":          "0::/system.slice/sluice.service\n",
	"sys/fs/cgroup/system.slice/sluice.service/memory.max":     "134217728\n",
	"sys/fs/cgroup/system.slice/sluice.service/memory.current": "52428800\n",
	"sys/fs/cgroup/system.slice/memory.max":                    "max\n",
	"sys/fs/cgroup/system.slice/cpu.max":                       "150000 100000\n",
	"sys/class/thermal/thermal_zone0/type":                     "cpu-thermal\n",
	"sys/class/thermal/thermal_zone0/temp":                     "48312\n",
	"sys/class/thermal/thermal_zone1/type":                     "battery\n",
	"sys/class/thermal/thermal_zone1/temp":                     "-273150\n",
	"sys/class/thermal/cooling_device0/type":                   "fan\n",
	"proc/self/status":                                         "Name:\tsluice\nVmRSS:\t   41000 kB\nRssAnon:\t   17000 kB\nThreads:\t11\n",
	"proc/self/limits":                                         "Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 524288               files     \n",
	"proc/self/fd/0":                                           "",
	"proc/self/fd/1":                                           "",
	"proc/self/fd/2":                                           "",
	"proc/self/io":                                             "rchar: 1\nwchar: 2\nread_bytes: 3\nwrite_bytes: 734003200\n",
	"proc/self/stat":                                           "812 (slu) ice) S 1 812 812 0 -1 4194560 100 0 0 0 1250 250 0 0 20 0 11 0 6150 100 10 18446744073709551615",
	"sys/dev/block/179:2/uevent":                               "MAJOR=179\nMINOR=2\nDEVNAME=mmcblk0p2\nDEVTYPE=partition\n",
	"sys/dev/block/8:1/uevent":                                 "MAJOR=8\nMINOR=1\nDEVNAME=sda1\n",
	"sys/block/mmcblk0/device/name":                            "BJTD4R\n",
	"sys/block/mmcblk0/device/life_time":                       "0x01 0x02\n",
	"sys/block/mmcblk0/device/pre_eol_info":                    "0x01\n",
	"sys/class/net/lo/type":                                    "772\n",
	"sys/class/net/lo/carrier":                                 "1\n",
	"sys/class/net/lo/address":                                 "00:00:00:00:00:00\n",
	"sys/class/net/eth0/type":                                  "1\n",
	"sys/class/net/eth0/carrier":                               "1\n",
	"sys/class/net/eth0/speed":                                 "100\n",
	"sys/class/net/eth0/address":                               "02:0c:29:11:22:33\n",
	"sys/class/net/wwan0/type":                                 "65534\n",
	"sys/class/net/wwan0/speed":                                "-1\n",
	"sys/class/net/bonding_masters":                            "\n",
	"proc/net/route": "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
		"wwan0\t00000000\t00000000\t0001\t0\t0\t700\t00000000\t0\t0\t0\n" +
		"eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n" +
		"eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n",
	"proc/net/ipv6_route": "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n" +
		"00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n",
	"etc/resolv.conf": "# by hand\nsearch plant\nnameserver 192.168.1.1\nnameserver fe80::1%eth0\nnameserver what\noptions rotate\n",
}

func TestABoardIsRead(t *testing.T) {
	root := recorded(board)
	got := Read(root)
	memory, available, limit, used, share, up := int64(254488<<10), int64(101376<<10), int64(128<<20), int64(50<<20), 1.5, 86461500*time.Millisecond
	want := Machine{
		Model: "Radxa ROCK 3A", Kernel: "6.6.23-sluice", Load: []float64{0.42, 0.31, 0.20},
		Memory: &memory, Available: &available, Group: Group{Memory: &limit, MemoryUsed: &used, Processors: &share},
		Temperatures: []Sensor{{"cpu-thermal", 48.312}}, Uptime: &up,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestTheNetworkIsRead(t *testing.T) {
	got := ReadNetwork(recorded(board), func(name string) []string {
		return map[string][]string{"eth0": {"192.168.1.20/24"}, "lo": {"127.0.0.1/8"}}[name]
	})
	speed := int64(100)
	want := Network{
		Interfaces: []Interface{
			{Name: "eth0", Up: true, MAC: "02:0c:29:11:22:33", Speed: &speed, Addresses: []string{"192.168.1.20/24"}},
			{Name: "wwan0"},
			{Name: "lo", Up: true, Addresses: []string{"127.0.0.1/8"}, Loopback: true},
		},
		Routes: []Route{{"192.168.1.1", "eth0", 100}, {"", "wwan0", 700}, {"fe80::1", "eth0", 1024}},
		DNS:    []string{"192.168.1.1", "fe80::1%eth0"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestTheProcessIsRead(t *testing.T) {
	p := ReadProcess(recorded(board))
	if *p.Resident != 41000<<10 || *p.Anonymous != 17000<<10 || *p.Threads != 11 || *p.Files != 3 || *p.FileLimit != 1024 || *p.Written != 700<<20 {
		t.Errorf("got %+v", p)
	}
	if *p.Processor != 15*time.Second || *p.Age != 24*time.Hour {
		t.Errorf("processor time %v, age %v", *p.Processor, *p.Age)
	}
}

func TestTheWearOfFlash(t *testing.T) {
	f, ok := ReadFlash(recorded(board), 179, 2)
	if !ok || f.Device != "mmcblk0" || f.Name != "BJTD4R" || *f.Used != 20 || f.Spare != "normal" {
		t.Errorf("got %+v, %v", f, ok)
	}
	for _, other := range []uint32{1, 3} {
		if f, ok := ReadFlash(recorded(board), 8, other); ok {
			t.Errorf("8:%d has %+v", other, f)
		}
	}
	for text, want := range map[string]int{"0x0b 0x01": 110, "0x00 0x00": 0, "": 0, "0xff": 0, "x y": 0} {
		got := 0
		if percent := used(text); percent != nil {
			got = *percent
		}
		if got != want {
			t.Errorf("%q is %d %%, want %d", text, got, want)
		}
	}
}

func TestNothingIsInvented(t *testing.T) {
	empty := fstest.MapFS{}
	if got := Read(empty); !reflect.DeepEqual(got, Machine{}) {
		t.Errorf("of nothing %+v was read", got)
	}
	if got := ReadProcess(empty); !reflect.DeepEqual(got, Process{}) {
		t.Errorf("of nothing %+v was read", got)
	}
	if got := ReadNetwork(empty, func(string) []string { return nil }); !reflect.DeepEqual(got, Network{}) {
		t.Errorf("of nothing %+v was read", got)
	}
}

func TestThisMachineIsRead(t *testing.T) {
	root := os.DirFS("/")
	if m := Read(root); m.Kernel == "" || m.Memory == nil || m.Uptime == nil {
		t.Errorf("got %+v", m)
	}
	if p := ReadProcess(root); p.Resident == nil || p.Files == nil || p.Processor == nil {
		t.Errorf("got %+v", p)
	}
	if n := ReadNetwork(root, Addresses); len(n.Interfaces) == 0 {
		t.Errorf("got %+v", n)
	}
}

// FuzzFiles gives the same bytes as each of the files: whatever they hold, nothing may panic, and no
// number may be outside of what it can be.
func FuzzFiles(f *testing.F) {
	for _, text := range board {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		root := fstest.MapFS{}
		for name := range board {
			root[name] = &fstest.MapFile{Data: text}
		}
		m, p := Read(root), ReadProcess(root)
		n := ReadNetwork(root, func(string) []string { return nil })
		flash, _ := ReadFlash(root, 179, 2)
		for _, count := range []*int64{m.Memory, m.Available, m.Group.Memory, m.Group.MemoryUsed, p.Resident, p.Anonymous, p.Threads, p.Written} {
			if count != nil && *count < 0 {
				t.Errorf("a count is %d", *count)
			}
		}
		for _, span := range []*time.Duration{m.Uptime, p.Age, p.Processor} {
			if span != nil && *span < 0 {
				t.Errorf("a time is %v", *span)
			}
		}
		if flash.Used != nil && (*flash.Used < 10 || *flash.Used > 110) {
			t.Errorf("used is %d %%", *flash.Used)
		}
		if len(n.DNS) > maxServers || len(n.Interfaces) > maxInterfaces {
			t.Errorf("%d servers, %d interfaces", len(n.DNS), len(n.Interfaces))
		}
	})
}
