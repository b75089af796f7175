package remoting

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"slices"
)

// The fields of a signed request.
const (
	accessKeyField = "AccessKey"
	signatureField = "Signature"
)

// Sign adds an account's access key and signature to a request, as ACL 1.0 and 2.0 want them: over the
// values of all other fields in the order of their names, joined, and the body. Whatever is changed
// afterwards makes the signature wrong.
func (c *Command) Sign(accessKey, secretKey string) {
	c.Ext.Set(accessKeyField, accessKey)
	fields := slices.DeleteFunc(slices.Clone(c.Ext), func(f Field) bool { return f.Name == signatureField })
	slices.SortFunc(fields, func(a, b Field) int { return cmp.Compare(a.Name, b.Name) })
	mac := hmac.New(sha1.New, []byte(secretKey))
	for _, f := range fields {
		mac.Write([]byte(f.Value))
	}
	mac.Write(c.Body)
	c.Ext.Set(signatureField, base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}
