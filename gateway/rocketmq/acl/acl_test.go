package acl

import (
	"bufio"
	"encoding/json"
	"iter"
	"maps"
	"os"
	"strings"
	"testing"
)

// signedRequest is a line of testdata/signed.jsonl: requests that Apache RocketMQ's Java client 4.9.8 signed,
// or whose signature its classes computed over what older and Go clients sign.
type signedRequest struct {
	Name, Secret string
	Version      int
	Fields       map[string]string
	Body         []byte
}

func (r *signedRequest) authenticate(l *List) (*Account, error) {
	return l.Authenticate(maps.All(r.Fields), r.Body, r.Version)
}

func signedRequests(tb testing.TB) (requests []signedRequest) {
	tb.Helper()
	file, err := os.Open("testdata/signed.jsonl")
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var r signedRequest
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			tb.Fatal(err)
		}
		requests = append(requests, r)
	}
	if len(requests) != 11 {
		tb.Fatalf("testdata/signed.jsonl has %d requests, want 11", len(requests))
	}
	return requests
}

func newList(tb testing.TB, accounts ...Account) *List {
	tb.Helper()
	l, err := New(accounts)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// listFor has the account of the request and another one.
func listFor(tb testing.TB, r *signedRequest) *List {
	return newList(tb, Account{AccessKey: "another", SecretKey: "another secret"}, Account{AccessKey: r.Fields["AccessKey"], SecretKey: r.Secret})
}

func TestWhatStockClientsSignIsAccepted(t *testing.T) {
	for _, r := range signedRequests(t) {
		account, err := r.authenticate(listFor(t, &r))
		if err != nil {
			t.Errorf("%s: %v", r.Name, err)
		} else if account.AccessKey != r.Fields["AccessKey"] {
			t.Errorf("%s: it is the account of %q, want %q", r.Name, account.AccessKey, r.Fields["AccessKey"])
		}
	}
}

func TestWhatIsNotWhatWasSignedIsRefused(t *testing.T) {
	for _, r := range signedRequests(t) {
		l := listFor(t, &r)
		changed := func(what string, change func(*signedRequest)) {
			again := r
			again.Fields = maps.Clone(r.Fields)
			change(&again)
			if account, err := again.authenticate(l); err == nil {
				t.Errorf("%s: with %s it is accepted as %q", r.Name, what, account.AccessKey)
			}
		}
		for name := range r.Fields {
			if name == tokenField || name == uniqueKeyField && r.Version <= version4_9_3 {
				continue // unsigned by some clients
			}
			changed("another "+name, func(r *signedRequest) { r.Fields[name] += "x" })
			if r.Fields[name] != "" {
				changed("no "+name, func(r *signedRequest) { delete(r.Fields, name) })
			}
		}
		changed("one more field", func(r *signedRequest) { r.Fields["extra"] = "x" })
		changed("another body", func(r *signedRequest) { r.Body = append([]byte("x"), r.Body...) })
		changed("another account's key", func(r *signedRequest) { r.Fields[accessKeyField] = "another" })
		changed("its signature in other letters", func(r *signedRequest) { r.Fields[signatureField] = strings.ToUpper(r.Fields[signatureField]) })
		changed("half its signature", func(r *signedRequest) { r.Fields[signatureField] = r.Fields[signatureField][:14] })
	}
}

func TestTheVersionDecidesWhetherTheUniqueKeyFlagIsSigned(t *testing.T) {
	for _, r := range signedRequests(t) {
		if _, has := r.Fields[uniqueKeyField]; !has {
			continue
		}
		old := r.Version <= version4_9_3
		r.Version = 401
		if old {
			if _, err := r.authenticate(listFor(t, &r)); err == nil {
				t.Errorf("%s: accepted from 4.9.4 too, which signs the flag", r.Name)
			}
			continue
		}
		if _, err := r.authenticate(listFor(t, &r)); err != nil {
			t.Errorf("%s: refused from 4.9.4, which signs the flag: %v", r.Name, err)
		}
	}
}

func TestUnknownKeyAndWrongSignatureReadAlike(t *testing.T) {
	r := signedRequests(t)[0]
	_, unknown := r.authenticate(newList(t, Account{AccessKey: "another", SecretKey: r.Secret}))
	_, wrong := r.authenticate(newList(t, Account{AccessKey: r.Fields["AccessKey"], SecretKey: "not it"}))
	if unknown == nil || wrong == nil || unknown.Error() != wrong.Error() {
		t.Errorf("an unknown key gives %v, a wrong signature %v, want the same text", unknown, wrong)
	}
	for name, want := range map[string]error{accessKeyField: errUnsigned, signatureField: errUnsigned} {
		again := r
		again.Fields = maps.Clone(r.Fields)
		delete(again.Fields, name)
		if _, err := again.authenticate(listFor(t, &r)); err != want {
			t.Errorf("without %s: %v, want %v", name, err, want)
		}
	}
}

func TestAFieldThatAppearsTwiceIsRefused(t *testing.T) {
	r := signedRequests(t)[0]
	for _, name := range []string{"b", accessKeyField, signatureField, "new"} {
		fields := func(yield func(string, string) bool) {
			if !yield(name, "") {
				return
			}
			for k, v := range r.Fields {
				if !yield(k, v) {
					return
				}
			}
			if name == "new" {
				yield(name, "")
			}
		}
		if _, err := listFor(t, &r).Authenticate(fields, r.Body, r.Version); err != errTwice {
			t.Errorf("with %s twice, the first one empty, so that the joined values are the same: %v, want %v", name, err, errTwice)
		}
	}
}

func TestWithoutAccountsEverybodyMayDoEverything(t *testing.T) {
	l := newList(t)
	for _, fields := range []map[string]string{nil, signedRequests(t)[0].Fields} {
		account, err := l.Authenticate(maps.All(fields), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if !account.Admin || !account.MayPublish("t") || !account.MaySubscribe("%RETRY%g") || !account.MayUse("g") {
			t.Errorf("a request with %v may not do everything", fields)
		}
	}
}

func TestAccountsThatCannotWorkAreRefused(t *testing.T) {
	for want, accounts := range map[string][]Account{
		`the account "" has no access key or no secret key`:                                 {{SecretKey: "s"}},
		`the account "a" has no access key or no secret key`:                                {{AccessKey: "a"}},
		`access key "a" appears twice`:                                                      {{AccessKey: "a", SecretKey: "s"}, {AccessKey: "a", SecretKey: "t"}},
		`the pattern "x*y" of account "a" is neither a name nor a beginning that ends in *`: {{AccessKey: "a", SecretKey: "s", Publish: []string{"t", "x*y"}}},
		`the pattern "" of account "a" is neither a name nor a beginning that ends in *`:    {{AccessKey: "a", SecretKey: "s", Subscribe: []string{""}}},
		`the pattern "**" of account "a" is neither a name nor a beginning that ends in *`:  {{AccessKey: "a", SecretKey: "s", Groups: []string{"**"}}},
	} {
		if _, err := New(accounts); err == nil || err.Error() != want {
			t.Errorf("%+v: %v, want %s", accounts, err, want)
		}
	}
}

func TestPermissions(t *testing.T) {
	a := &Account{Publish: []string{"readings", "alarms-*"}, Subscribe: []string{"*"}, Groups: []string{"CID_cloud", "factory%*"}}
	admin := &Account{Admin: true}
	for _, c := range []struct {
		what string
		ask  func(*Account, string) bool
		name string
		want bool
	}{
		{"publish", (*Account).MayPublish, "readings", true},
		{"publish", (*Account).MayPublish, "readings2", false},
		{"publish", (*Account).MayPublish, "Readings", false},
		{"publish", (*Account).MayPublish, "factory%readings", false},
		{"publish", (*Account).MayPublish, "alarms-", true},
		{"publish", (*Account).MayPublish, "alarms-north", true},
		{"publish", (*Account).MayPublish, "alarms", false},
		{"publish", (*Account).MayPublish, "", false},
		{"publish", (*Account).MayPublish, "%RETRY%CID_cloud", true},
		{"publish", (*Account).MayPublish, "%RETRY%CID_other", false},
		{"subscribe", (*Account).MaySubscribe, "anything", true},
		{"subscribe", (*Account).MaySubscribe, "%RETRY%CID_cloud", true},
		{"subscribe", (*Account).MaySubscribe, "%RETRY%CID_cloud+readings", true},
		{"subscribe", (*Account).MaySubscribe, "%RETRY%CID_clou", false},
		{"subscribe", (*Account).MaySubscribe, "%DLQ%CID_cloud", true},
		{"subscribe", (*Account).MaySubscribe, "%DLQ%CID_other", false},
		{"subscribe", (*Account).MaySubscribe, "%RETRY%factory%CID_1", true},
		{"subscribe", (*Account).MaySubscribe, "%RETRY%office%CID_1", false},
		{"use", (*Account).MayUse, "CID_cloud", true},
		{"use", (*Account).MayUse, "factory%CID_1", true},
		{"use", (*Account).MayUse, "factory", false},
		{"use", (*Account).MayUse, "office%CID_cloud", false},
	} {
		if got := c.ask(a, c.name); got != c.want {
			t.Errorf("may %s %q is %v, want %v", c.what, c.name, got, c.want)
		}
		if !c.ask(admin, c.name) {
			t.Errorf("an administrator may not %s %q", c.what, c.name)
		}
		if c.ask(&Account{}, c.name) {
			t.Errorf("an account without any permission may %s %q", c.what, c.name)
		}
	}
}

func inOrder(r *signedRequest) iter.Seq2[string, string] {
	type pair struct{ name, value string }
	var pairs []pair
	for name, value := range r.Fields {
		pairs = append(pairs, pair{name, value})
	}
	return func(yield func(string, string) bool) {
		for _, p := range pairs {
			if !yield(p.name, p.value) {
				return
			}
		}
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	r := signedRequests(b)[0]
	l, fields := listFor(b, &r), inOrder(&r)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Authenticate(fields, r.Body, r.Version); err != nil {
			b.Fatal(err)
		}
	}
}
