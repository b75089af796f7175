package access

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// tryFor makes an attempt as a client does, with the time that the listener gives it.
func tryFor(g *Guard, address, user, password string) (in bool, took time.Duration) {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	grant := g.Connect(ctx, &Attempt{
		ClientID: "c1", Address: address, HasUser: true, User: user, HasPassword: true, Password: []byte(password),
	})
	return grant != nil, time.Since(begin)
}

func refuse(t *testing.T, g *Guard, address, user string, least, most time.Duration) {
	t.Helper()
	in, took := tryFor(g, address, user, "wrong")
	if in || took < least || took > most {
		t.Errorf("%s as %s with a wrong password: in %v after %v, want a refusal after %v to %v", address, user, in, took, least, most)
	}
}

func admit(t *testing.T, g *Guard, address, user string, most time.Duration) {
	t.Helper()
	if in, took := tryFor(g, address, user, "right"); !in || took > most {
		t.Errorf("%s as %s with the right password: in %v after %v, want it in within %v", address, user, in, took, most)
	}
}

func guardOf(t *testing.T, names ...string) *Guard {
	t.Helper()
	var users []User
	for _, name := range names {
		users = append(users, User{Name: name, PasswordFile: passwordFor(t, "right"), Publish: []string{"#"}})
	}
	return guardFor(t, Options{Users: users})
}

func TestAnAddressThatFailsWaitsLongerAndLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guardOf(t, "ann")
		const address, other = "192.0.2.1:1000", "192.0.2.2:1000"
		for i := range 5 {
			refuse(t, g, address, fmt.Sprint("guess", i), 0, 0)
		}
		refuse(t, g, address, "ann", time.Second, time.Second)
		refuse(t, g, address, "bob", 2*time.Second, 2*time.Second)
		refuse(t, g, "192.0.2.1:2000", "cid", 4*time.Second, 4*time.Second) // the port is another, the address is not
		refuse(t, g, address, "dan", 8*time.Second, 8*time.Second)
		// The next wait is longer than a client may take: it ends a little before that.
		if in, took := tryFor(g, address, "ann", "right"); in || took < 9*time.Second || took >= patience {
			t.Errorf("in %v after %v, want a refusal shortly before %v", in, took, patience)
		}
		admit(t, g, other, "ann", 0)
		for range 20 {
			time.Sleep(61 * time.Second) // no wait is longer than a minute
			refuse(t, g, address, "ann", 0, 0)
		}
		time.Sleep(61 * time.Second)
		admit(t, g, address, "ann", 0)
		refuse(t, g, address, "ann", 0, 0)
		refuse(t, g, address, "ann", 0, 0) // its failures are forgotten
		if s := g.Stats(); s.Delayed != 5 || s.Waiting != 0 || s.Accepted != 2 || s.Refused != 32 {
			t.Errorf("counted %+v", s)
		}
	})
}

func TestFailuresAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guardOf(t, "ann")
		fail := func(address string, times int) {
			for i := range times {
				refuse(t, g, address, fmt.Sprint("guess", i), 0, 0)
			}
		}
		const one, other = "192.0.2.1:1", "192.0.2.2:1"
		fail(one, 4)
		admit(t, g, one, "ann", 0)
		fail(one, 5)
		fail(other, 5)
		time.Sleep(forgetAfter + time.Second)
		fail(other, 5)
	})
}

func TestTooManyInTheQueueAreRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guardOf(t, "ann")
		for range hashesAtOnce {
			if why := g.judge.take(t.Context()); why != "" {
				t.Fatal(why)
			}
		}
		var all sync.WaitGroup
		for range mostInQueue {
			all.Go(func() {
				if in, took := tryFor(g, "192.0.2.1:1", "ann", "right"); in || took < 9*time.Second {
					t.Errorf("in %v after %v, want a refusal when the time is over", in, took)
				}
			})
		}
		synctest.Wait()
		refuse(t, g, "192.0.2.2:1", "ann", 0, 0)
		all.Wait()
		for range hashesAtOnce {
			g.judge.free()
		}
		if n := g.judge.queued.Load(); n != 0 {
			t.Errorf("%d are in the queue when nobody is", n)
		}
		admit(t, g, "192.0.2.2:1", "ann", 0)
	})
}

func TestAStrangerCannotLockAUserOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guardOf(t, "ann")
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		defer all.Wait()
		defer stop()
		const home, fresh = "192.0.2.1:1", "192.0.2.9:1"
		admit(t, g, home, "ann", 0)
		for i := range 100 { // a hundred machines guess as fast as they can
			all.Go(func() {
				for ctx.Err() == nil {
					tryFor(g, fmt.Sprintf("198.51.100.%d:1", i), "ann", "wrong")
					time.Sleep(10 * time.Millisecond)
				}
			})
		}
		time.Sleep(time.Minute)
		before := g.Stats().Hashed
		admit(t, g, home, "ann", 0)
		time.Sleep(time.Minute)
		admit(t, g, home, "ann", 0)
		if n := g.Stats().Hashed - before; n > 60 {
			t.Errorf("%d guesses in a minute", n)
		}
		// Elsewhere the user waits, but gets in.
		in := false
		for range 30 {
			ok, _ := tryFor(g, fresh, "ann", "right")
			in = in || ok
		}
		if !in {
			t.Error("the user did not get in from a new address within 30 attempts")
		}
	})
}

func TestAWrongPasswordBehindTheSameAddressDoesNotKeepOthersOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guardOf(t, "ann", "bob")
		admit(t, g, "192.0.2.1:1", "ann", 0)
		for range 20 {
			tryFor(g, "192.0.2.1:2", "bob", "wrong")
		}
		admit(t, g, "192.0.2.1:3", "ann", 0)
		// But a guesser there has no more freedom with her name than with another.
		begin, hashed := time.Now(), g.Stats().Hashed
		for range 30 {
			tryFor(g, "192.0.2.1:4", "ann", "wrong")
		}
		if took := time.Since(begin); took < 90*time.Second {
			t.Errorf("%d guesses took %v", g.Stats().Hashed-hashed, took)
		}
	})
}

func TestAThousandDevicesComeAtOnce(t *testing.T) {
	for _, users := range []int{1, 50} {
		synctest.Test(t, func(t *testing.T) {
			var names []string
			for i := range users {
				names = append(names, fmt.Sprint("device", i))
			}
			g := guardOf(t, names...)
			for round := range 2 {
				before := g.Stats()
				// They all come while two others are judged.
				for range hashesAtOnce {
					if why := g.judge.take(t.Context()); why != "" {
						t.Fatal(why)
					}
				}
				var all sync.WaitGroup
				for i := range 1000 {
					all.Go(func() {
						admit(t, g, fmt.Sprintf("10.0.%d.%d:1", i/250, i%250), names[i%users], time.Second)
					})
				}
				synctest.Wait()
				for range hashesAtOnce {
					g.judge.free()
				}
				all.Wait()
				after := g.Stats()
				if after.Accepted-before.Accepted != 1000 || after.Delayed != 0 || after.Refused != 0 {
					t.Errorf("%d users, round %d: counted %+v", users, round, after)
				}
				// At most two devices with one user hash at the same time.
				if n := after.Hashed - before.Hashed; round == 0 && n > uint64(2*users) || round == 1 && n != 0 {
					t.Errorf("%d users, round %d: %d passwords were hashed", users, round, n)
				}
			}
		})
	}
}

func TestAFloodFromOneAddressCostsFewHashes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guardOf(t, "ann")
		var all sync.WaitGroup
		for i := range 1000 {
			all.Go(func() { tryFor(g, "[2001:db8::"+fmt.Sprintf("%x", i+1)+"]:1", fmt.Sprint("guess", i), "wrong") })
		}
		time.Sleep(500 * time.Millisecond)
		if s := g.Stats(); s.Waiting != delayedEach || s.Hashed > 6 || s.Refused < 900 {
			t.Errorf("counted %+v", s)
		}
		all.Wait()
		if s := g.Stats(); s.Waiting != 0 || s.Refused != 1000 || s.Hashed > 12 {
			t.Errorf("counted %+v", s)
		}
	})
}

func TestAChangedPasswordIsNotRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := passwordFor(t, "right")
		g := guardFor(t, Options{Users: []User{{Name: "ann", PasswordFile: path}}})
		const address = "192.0.2.1:1"
		admit(t, g, address, "ann", 0)
		admit(t, g, address, "ann", 0)
		if n := g.Stats().Hashed; n != 1 {
			t.Errorf("hashed %d times, want once", n)
		}
		write(t, path, cheap("new"))
		time.Sleep(lookAgain)
		if in, _ := tryFor(g, address, "ann", "right"); in {
			t.Error("the old password lets in")
		}
		if in, _ := tryFor(g, address, "ann", "new"); !in {
			t.Error("the new password does not let in")
		}
	})
}

func TestTheNextGuardGoesOnWhereTheLastOneWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		options := Options{Users: []User{{Name: "ann", PasswordFile: passwordFor(t, "right")}}}
		options.Before = guardFor(t, options)
		const address = "192.0.2.1:1"
		admit(t, options.Before, address, "ann", 0)
		for range 5 {
			refuse(t, options.Before, address, "ghost", 0, 0)
		}
		g := guardFor(t, options)
		refuse(t, g, address, "ghost", time.Second, time.Second)
		admit(t, g, address, "ann", 0)
		if n := g.Stats().Hashed; n != 1 { // the ghost's
			t.Errorf("hashed %d times, want once", n)
		}
		options.Users = nil
		if in, _ := tryFor(guardFor(t, options), address, "ann", "right"); in {
			t.Error("a user who is no longer there came in")
		}
	})
}

func TestUnknownUsersCostAsMuchAsWrongPasswords(t *testing.T) {
	g := guardFor(t, Options{Users: []User{
		{Name: "ann", PasswordFile: passwordFor(t, "right")},
		{Name: "bob", PasswordFile: passwordFor(t, "right")},
		{Name: "cid", Certificate: true},
		{Name: "dan", PasswordFile: t.TempDir() + "/none"},
	}})
	for i, user := range []string{"ann", "bob", "cid", "dan", "ghost", "%", ""} {
		before := g.Stats().Hashed
		if in, _ := tryFor(g, fmt.Sprintf("192.0.2.%d:1", i), user, "wrong"); in {
			t.Errorf("%q came in", user)
		}
		want := uint64(1)
		if user == "" { // nobody: no name was given
			want = 0
		}
		if n := g.Stats().Hashed - before; n != want {
			t.Errorf("%q: hashed %d times, want %d", user, n, want)
		}
	}
	// The one that stands in is always the same, and one of those that are configured.
	j := g.judge
	for range 3 {
		from := j.originOf(&Attempt{User: "ghost"})
		first, real := j.hashFor(nil, from)
		again, _ := j.hashFor(nil, from)
		if real || first != again {
			t.Errorf("got %p and %p, real %v", first, again, real)
		}
	}
}

func TestTablesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := newThrottle(1, time.Minute)
		var k key
		for i := range 5 * namesCounted {
			k[0], k[1] = byte(i), byte(i>>8)
			throttle.failed(k)
			time.Sleep(time.Millisecond)
		}
		if n := len(throttle.failures); n != namesCounted {
			t.Errorf("%d names are counted, want %d", n, namesCounted)
		}
		if throttle.wait(k) == 0 {
			t.Error("the last that failed was forgotten")
		}
		time.Sleep(forgetAfter + time.Second)
		throttle.failed(key{31: 1})
		if n := len(throttle.failures); n != 1 {
			t.Errorf("%d names are counted after they were quiet, want 1", n)
		}
	})
	j := newPast()
	for i := range 2 * mostKnown {
		name := fmt.Sprint(i)
		j.remember(name, j.key(name))
		j.succeeded(origin{pair: j.key(name)})
	}
	if len(j.verified) != mostKnown || len(j.known) != mostKnown {
		t.Errorf("%d passwords and %d pairs are remembered, want %d", len(j.verified), len(j.known), mostKnown)
	}
}

func TestAddressesThatCountAsOne(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:5": "192.0.2.1", "[::ffff:192.0.2.1]:5": "192.0.2.1",
		"[2001:db8::1]:5": "2001:db8::/64", "[2001:db8::ffff:2%eth0]:5": "2001:db8::/64", "pipe": "pipe",
	} {
		if got := addressName(remote); got != want {
			t.Errorf("%s counts as %s, want %s", remote, got, want)
		}
	}
}
