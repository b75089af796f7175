package acl

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
)

// FuzzAuthenticate takes requests as lines of name=value. One that is signed over the plainest possible
// reading of the rule is accepted, and refused when a byte of its body is another.
func FuzzAuthenticate(f *testing.F) {
	f.Add("topic=readings\nqueueId=0", []byte("body"), 409)
	f.Add("_UNIQUE_KEY_QUERY=true\nb=1\na=2", []byte(nil), 399)
	f.Add("Zone=1\nzone=2\nSecurityToken=t", []byte{0}, 317)
	f.Add("Signature=x\na\n=", []byte("\n"), -1)
	f.Add("a=1\na=2\nAccessKey=", []byte("x"), 1<<31-1)
	f.Fuzz(func(t *testing.T, header string, body []byte, version int) {
		values := map[string]string{accessKeyField: "key"}
		twice := false
		var names []string
		fields := []field{{accessKeyField, "key"}}
		for line := range strings.Lines(header) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			_, known := values[name]
			twice = twice || known || name == signatureField
			values[name] = value
			fields = append(fields, field{name, value})
		}
		for name := range values {
			names = append(names, name)
		}
		slices.Sort(names)
		mac := hmac.New(sha1.New, []byte("secret"))
		for _, name := range names {
			if name != signatureField && (name != uniqueKeyField || version > version4_9_3) {
				mac.Write([]byte(values[name]))
			}
		}
		mac.Write(body)
		fields = append(fields, field{signatureField, base64.StdEncoding.EncodeToString(mac.Sum(nil))})
		l := newList(t, Account{AccessKey: "key", SecretKey: "secret"})
		ask := func(body []byte) error {
			_, err := l.Authenticate(func(yield func(string, string) bool) {
				for _, f := range fields {
					if !yield(f.name, f.value) {
						return
					}
				}
			}, body, version)
			return err
		}
		if err := ask(body); (err == nil) == twice {
			t.Errorf("%q: %v, want an error only if a field appears twice, which is %v", header, err, twice)
		}
		if len(body) > 0 {
			body = slices.Clone(body)
			body[0]++
			if ask(body) == nil {
				t.Errorf("%q is accepted with another body", header)
			}
		}
	})
}
