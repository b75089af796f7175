package gateway

import (
	"errors"
	"fmt"
	"path/filepath"

	"sluice/gateway/certificates"
	"sluice/gateway/config"
	"sluice/web"
)

// openCertificates gives the certificates of the page; nil without TLS.
func (g *Gateway) openCertificates(c *config.Config) (*certificates.Set, error) {
	if c.Web.TLS == nil {
		return nil, nil
	}
	options := certificates.Options{
		Dir: filepath.Join(c.Store.Dir, "web"), Cert: c.Web.TLS.Cert, Key: c.Web.TLS.Key,
		Log: g.log.With("part", "web"),
	}
	if a := c.Web.TLS.ACME; a != nil {
		options.ACME = &certificates.ACME{Directory: a.Directory, CA: a.CA, Hosts: a.Hosts, Email: a.Email}
	}
	return certificates.Open(options)
}

// shownCertificates lets the page show and change its certificates.
type shownCertificates struct{ set *certificates.Set }

func (s shownCertificates) Current() web.Certificate {
	i := s.set.Current()
	return web.Certificate{
		Kind: i.Kind, Subject: i.Subject, Names: i.Names, Issuer: i.Issuer, From: i.From, Until: i.Until,
		Fingerprint: i.Fingerprint, Lacks: i.Lacks, Error: i.Error,
	}
}

func (s shownCertificates) SelfMade() bool { return s.set.SelfMade() }

func (s shownCertificates) Install(cert, key []byte) error {
	return certificateError(s.set.Install(cert, key))
}

func (s shownCertificates) Remove() error { return certificateError(s.set.Remove()) }

func (s shownCertificates) Remake() error { return certificateError(s.set.Remake()) }

// certificateError says the same in the page's words.
func certificateError(err error) error {
	if wrong, mistaken := errors.AsType[*certificates.MistakeError](err); mistaken {
		return &web.FieldError{Field: wrong.Field, Text: wrong.Text}
	}
	if refused, is := errors.AsType[*certificates.RefusedError](err); is {
		return fmt.Errorf("%w: %s", web.ErrNotAllowed, refused.Why)
	}
	return err
}
