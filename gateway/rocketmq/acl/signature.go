package acl

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"hash"
	"iter"
	"slices"
	"sync"
)

// The extFields that a client's signing adds.
const (
	accessKeyField = "AccessKey"
	signatureField = "Signature"
	tokenField     = "SecurityToken"
)

// uniqueKeyField is added by clients up to 4.9.3 only after they have signed.
const (
	uniqueKeyField = "_UNIQUE_KEY_QUERY"
	version4_9_3   = 399
)

type field struct{ name, value string }

// content is what was signed of a request, but for its body: the values of its fields in the order of
// their names, joined.
type content struct {
	fields               []field
	accessKey, signature string
	signatures           int
	token                bool // there is a security token
	joined               []byte
}

// maxKept bounds what the pool keeps of a request: larger ones are left to the collector.
const maxKept = 64 << 10

var contents = sync.Pool{New: func() any { return new(content) }}

func borrowContent() *content { return contents.Get().(*content) }

// release drops the request's texts, lest the pool keep them alive.
func (c *content) release() {
	if cap(c.joined) > maxKept || cap(c.fields) > 256 {
		return
	}
	clear(c.fields)
	*c = content{fields: c.fields[:0], joined: c.joined[:0]}
	contents.Put(c)
}

func (c *content) add(name, value string) {
	switch name {
	case signatureField:
		c.signature = value
		c.signatures++
		return // it cannot sign itself
	case accessKeyField:
		c.accessKey = value
	case tokenField:
		c.token = true
	}
	c.fields = append(c.fields, field{name, value})
}

// sort brings the fields into the order in which they are signed, that of a Java TreeMap, so upper case
// comes first. It is false if two have the same name: others might act on the value that we did not.
func (c *content) sort() bool {
	slices.SortFunc(c.fields, func(a, b field) int { return cmp.Compare(a.name, b.name) })
	for i := 1; i < len(c.fields); i++ {
		if c.fields[i].name == c.fields[i-1].name {
			return false
		}
	}
	return c.signatures == 1
}

// join is the signed bytes of the fields, with or without the security token.
func (c *content) join(version int, withToken bool) []byte {
	c.joined = c.joined[:0]
	for _, f := range c.fields {
		if f.name == uniqueKeyField && version <= version4_9_3 || f.name == tokenField && !withToken {
			continue
		}
		c.joined = append(c.joined, f.value...)
	}
	return c.joined
}

// signer is an account with what computes its signatures: a keyed hash costs more to make than to reset.
type signer struct {
	account Account
	hashes  sync.Pool
}

func newSigner(a Account) *signer {
	s := &signer{account: a}
	s.hashes.New = func() any { return hmac.New(sha1.New, []byte(a.SecretKey)) }
	return s
}

// signed says whether the request's signature is the account's. The Go client sends its security token
// without signing it, the Java client signs it: either will do, since the token has no meaning here.
func (s *signer) signed(c *content, body []byte, version int) bool {
	right := s.sign(c.join(version, true), body, c.signature)
	if c.token && !right {
		right = s.sign(c.join(version, false), body, c.signature)
	}
	return right
}

// sign compares in a time that does not tell how much of the signature was right.
func (s *signer) sign(fields, body []byte, signature string) bool {
	mac := s.hashes.Get().(hash.Hash)
	defer s.hashes.Put(mac)
	mac.Reset()
	mac.Write(fields)
	mac.Write(body)
	var sum [sha1.Size]byte
	var text [28]byte // base64 of sum
	base64.StdEncoding.Encode(text[:], mac.Sum(sum[:0]))
	return hmac.Equal(text[:], []byte(signature))
}

// signedContent says whether signature is the account's over content alone.
func (s *signer) signedContent(content, signature []byte) bool {
	mac := s.hashes.Get().(hash.Hash)
	defer s.hashes.Put(mac)
	mac.Reset()
	mac.Write(content)
	var sum [sha1.Size]byte
	return hmac.Equal(mac.Sum(sum[:0]), signature)
}

// Sign computes the signature of a request with the account's key, for requests of our own.
func (a Account) Sign(fields iter.Seq2[string, string], body []byte) string {
	c := borrowContent()
	defer c.release()
	for name, value := range fields {
		c.add(name, value)
	}
	c.sort()
	mac := hmac.New(sha1.New, []byte(a.SecretKey))
	mac.Write(c.join(version4_9_3+1, true))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
