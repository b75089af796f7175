// Package acl says who sent a request of RocketMQ's classic protocol and what they may do: ACL 1.0, in
// which a request carries an access key and a signature over its fields and body.
//
// The protocol has no nonce and no time in what is signed, and joins the values without saying where one
// ends. So whoever can read the line can send a request again, and a request can be changed into another
// whose values, joined, are the same. Only TLS prevents that.
package acl

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"slices"
)

// What a refused client is told, with code NO_PERMISSION. An unknown key and a wrong signature read alike,
// so that nobody can try which keys there are.
var (
	errUnsigned = errors.New("this gateway asks for signed requests: give the client an access key and its secret key")
	errWrong    = errors.New("the access key is unknown or the signature does not match: check access key and secret key")
	errTwice    = errors.New("a signed request carries a field twice")
)

// List holds the accounts. It does not change, so that many goroutines may use one.
type List struct {
	signers map[string]*signer // by access key
	nobody  *signer            // signs in place of an unknown key, to take as long
}

// New checks the accounts and makes a list of them. Without accounts everybody may do everything, signed
// or not.
func New(accounts []Account) (*List, error) {
	l := &List{signers: make(map[string]*signer, len(accounts)), nobody: newSigner(Account{SecretKey: rand.Text()})}
	for _, a := range accounts {
		if err := a.check(); err != nil {
			return nil, err
		}
		if l.signers[a.AccessKey] != nil {
			return nil, fmt.Errorf("access key %q appears twice", a.AccessKey)
		}
		l.signers[a.AccessKey] = newSigner(a)
	}
	return l, nil
}

// everybody is the account of all requests to a list without accounts.
var everybody = &Account{Admin: true}

// Authenticate finds the account that signed a request, from its header's extFields, its body and the
// version that its header names. The error's text is the remark for the client. Every request is signed on
// its own, so that nothing can be remembered for a connection.
func (l *List) Authenticate(fields iter.Seq2[string, string], body []byte, version int) (*Account, error) {
	if len(l.signers) == 0 {
		return everybody, nil
	}
	content := borrowContent()
	defer content.release()
	for name, value := range fields {
		content.add(name, value)
	}
	if content.accessKey == "" || content.signature == "" {
		return nil, errUnsigned
	}
	if !content.sort() {
		return nil, errTwice
	}
	s, known := l.signers[content.accessKey]
	if !known {
		s = l.nobody
	}
	if !s.signed(content, body, version) || !known {
		return nil, errWrong
	}
	return &s.account, nil
}

// AuthenticateContent finds the account that signed content with HMAC-SHA1, as RocketMQ 5 clients sign the time
// of a call. The error's text is for the client.
func (l *List) AuthenticateContent(accessKey string, content, signature []byte) (*Account, error) {
	if len(l.signers) == 0 {
		return everybody, nil
	}
	if accessKey == "" || len(signature) == 0 {
		return nil, errUnsigned
	}
	s, known := l.signers[accessKey]
	if !known {
		s = l.nobody
	}
	if !s.signedContent(content, signature) || !known {
		return nil, errWrong
	}
	return &s.account, nil
}

// Accounts lists the accounts by access key, without their secrets.
func (l *List) Accounts() []Account {
	list := make([]Account, 0, len(l.signers))
	for _, s := range l.signers {
		a := s.account
		a.SecretKey = ""
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b Account) int { return cmp.Compare(a.AccessKey, b.AccessKey) })
	return list
}
