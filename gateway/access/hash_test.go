package access

import (
	"strings"
	"testing"
)

// Hashes that others have made: the reference implementations' own test vectors, and mosquitto_passwd.
var foreign = []struct{ text, password string }{
	{"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "password"},
	{"$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc", "password"},
	{"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"},
	{"$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"},
	{"$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"},
	{"$7$101$h2QvkVNOQN3YNsIP$Qe4s/a5q5+cd1urTCt1Zv6MPSMDePJVvB6ynBir2Z391oWlKgr5zYzl/Yit5neDHMfXSlCHDXkBzNH0tmmdBQA==", "water level 7"},
}

func TestHashesOfOthers(t *testing.T) {
	for _, c := range foreign {
		h, err := parseHash(c.text, limitsFor(0))
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		for password, want := range map[string]bool{c.password: true, c.password + "x": false, "": false, strings.Repeat("x", longestInput): false} {
			if got := h.matches([]byte(password)); got != want {
				t.Errorf("%s matches %q: %v, want %v", c.text, clip(password), got, want)
			}
		}
	}
}

func TestOwnHash(t *testing.T) {
	text, err := HashPassword([]byte("water level 7"))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := HashPassword([]byte("water level 7")); err != nil || again == text {
		t.Errorf("hashed again it is %s, %v", again, err)
	}
	for _, password := range []string{"", strings.Repeat("x", longestInput+1)} {
		if got, err := HashPassword([]byte(password)); err == nil {
			t.Errorf("%q became %s", clip(password), got)
		}
	}
	h, err := parseHash(text, limitsFor(1)) // the smallest machine
	if err != nil {
		t.Fatal(err)
	}
	if !h.matches([]byte("water level 7")) || h.matches([]byte("water level 8")) {
		t.Errorf("%s does not know its password", text)
	}
}

func TestHashesThatAreRefused(t *testing.T) {
	const salt, key = "c29tZXNhbHQ", "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	for _, c := range []struct{ text, want string }{
		{"", "no hash"},
		{"secret", "no hash"},
		{"$1$abc$def", "no hash"},
		{"$argon2i$v=19$m=256,t=2,p=1$" + salt + "$" + key, "no hash"},
		{"$argon2id$v=16$m=256,t=2,p=1$" + salt + "$" + key, "no hash"},
		{"$argon2id$v=19$m=+256,t=2,p=1$" + salt + "$" + key, "no hash"},
		{"$argon2id$v=19$m=4294967552,t=2,p=1$" + salt + "$" + key, "no hash"},
		{"$argon2id$v=19$m=256,t=2,p=0$" + salt + "$" + key, "no hash"},
		{"$argon2id$v=19$m=0,t=2,p=1$" + salt + "$" + key, "no hash"},
		{"$argon2id$v=19$m=256,t=0,p=1$" + salt + "$" + key, "no hash"},
		{"$argon2id$v=19$m=256,t=2,p=1$" + salt + "$", "no hash"},
		{"$argon2id$v=19$m=256,t=2,p=1$$" + key, "no hash"},
		{"$argon2id$v=19$m=256,t=2,p=1$" + salt + "$" + key + "$", "no hash"},
		{"$argon2id$v=19$m=262145,t=1,p=1$" + salt + "$" + key, "262145 KiB of memory"},
		{"$argon2id$v=19$m=65536,t=17,p=1$" + salt + "$" + key, "too long"},
		{"$argon2id$v=19$m=256,t=2147483647,p=1$" + salt + "$" + key, "too long"},
		{"$argon2id$v=19$m=2048,t=1,p=17$" + salt + "$" + key, "too long"},
		{"$2b$15$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "cost is 15"},
		{"$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "cost is 31"},
		{"$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe", "no hash"},
		{"$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe!", "no hash"},
		{"$7$1000001$h2QvkVNOQN3YNsIP$Qe4s/a5q5+cd1urTCt1Zv6MPSMDePJVvB6ynBir2Z391oWlKgr5zYzl/Yit5neDHMfXSlCHDXkBzNH0tmmdBQA==", "too long"},
		{"$7$101$h2QvkVNOQN3YNsIP$Qe4s", "no hash"},
		{"$6$h2QvkVNOQN3YNsIP$Qe4s", "fast hash"},
	} {
		_, err := parseHash(c.text, limitsFor(0))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want something with %q", c.text, err, c.want)
		}
	}
	if _, err := parseHash("$argon2id$v=19$m=65536,t=2,p=1$"+salt+"$"+key, limitsFor(32<<20)); err == nil {
		t.Error("a hash that takes more memory than there may be was taken")
	}
}

func FuzzParseHash(f *testing.F) {
	for _, c := range foreign {
		f.Add(c.text)
	}
	f.Add("$argon2id$v=19$m=99999999,t=99,p=99$AAAAAAAAAAA$AAAAAAAAAAA")
	f.Add("$7$999999999$AAAAAAAAAAA=$AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHash(text, limitsFor(0))
		if err != nil {
			return
		}
		if again := h.format(); again != text {
			t.Errorf("%q became %q", text, again)
		}
		work := int(h.memory) * h.rounds
		if h.memory > largestMemory || work > largestWork || h.algorithm == bcrypted && h.rounds > largestCost || h.algorithm == pbkdf2ed && h.rounds > mostRounds {
			t.Errorf("%q is allowed to take memory %d KiB, rounds %d", text, h.memory, h.rounds)
		}
		if h.memory <= 1<<10 && work <= 4<<10 && (h.algorithm != bcrypted || h.rounds <= 5) && (h.algorithm != pbkdf2ed || h.rounds <= 1000) {
			h.matches([]byte("any")) // must not panic
		}
	})
}
