package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"sluice/gateway/config"
)

// hook posts letters to an HTTP server.
type hook struct {
	config.NotifyWebhook
}

// Signature is the header in which the receiver finds who sent a body.
const Signature = "Sluice-Signature"

func (h hook) send(ctx context.Context, l *Letter) error {
	body, err := json.Marshal(l)
	if err != nil {
		panic("bug: a letter cannot fail to marshal: " + err.Error())
	}
	ctx, stop := context.WithTimeout(ctx, sendTime)
	defer stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("write the request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	request.Header.Set("User-Agent", "sluice")
	request.Header.Set("Sluice-Delivery", l.ID)
	for name, value := range h.Headers {
		request.Header.Set(name, value)
	}
	if h.SecretFile != "" {
		secret, err := config.ReadSecret(h.SecretFile)
		if err != nil {
			return err
		}
		request.Header.Set(Signature, sign([]byte(secret), body))
	}
	settings, err := tlsOf(request.URL.Hostname(), h.CA)
	if err != nil {
		return err
	}
	transport := &http.Transport{TLSClientConfig: settings, DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment}
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // a body that was signed for one address goes to no other
	}}
	answer, err := client.Do(request)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // the address is known
		}
		return fmt.Errorf("post to the webhook: %w", err)
	}
	defer answer.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(answer.Body, 300))
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("the webhook answers %s: %s", answer.Status, strings.TrimSpace(string(bytes.ToValidUTF8(said, nil))))
	}
	return nil
}

func sign(secret, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}
