package gateway

import (
	"regexp"
	"strings"
	"sync"

	"sluice/gateway/config"
)

// secretKeys are the keys of this build that hold secrets.
var secretKeys = sync.OnceValue(func() config.Secrets { return config.SecretsOf(Kinds()) })

const (
	hiddenSecret = "***"
	otherSecret  = "*** (another one)"
)

// hide gives the text of a configuration with *** for its secrets.
func hide(text string) string {
	shown, _ := hideBoth(text, nil, nil)
	return shown
}

// hideBoth also gives the secrets; those that are not among known, if it is given, are shown as others. d is the
// text taken apart, or nil, and of no use afterwards.
func hideBoth(text string, d *config.Document, known map[string]bool) (shown string, own map[string]bool) {
	if !mayHide(text) {
		return text, map[string]bool{}
	}
	if d == nil {
		if d = takenApart(text); d == nil {
			return withoutSecrets(text), nil
		}
	}
	own = d.Secrets(secretKeys())
	return hideIn(d, text, known), own
}

// mayHide says whether a text may hold secrets at all, which spares large ones a reading.
func mayHide(text string) bool {
	for key := range secretKeys() {
		if strings.Contains(text, key) {
			return true
		}
	}
	return strings.Contains(text, `\`) // a key may be written with escapes
}

func hideIn(d *config.Document, text string, known map[string]bool) string {
	d.Hide(secretKeys(), func(secret string) string {
		if known != nil && !known[secret] {
			return otherSecret
		}
		return hiddenSecret
	})
	shown, err := d.Text()
	if err != nil {
		return withoutSecrets(text)
	}
	return withoutSecrets(string(shown)) // which also looks into remarks
}

// putSecretsBack puts the secrets of old back into a text that was made from what hide gives of it.
func putSecretsBack(old, text string) (string, error) {
	if !strings.Contains(text, hiddenSecret) {
		return text, nil
	}
	text = keepLines(old, text)
	before, err := config.ReadDocument("", []byte(old))
	if err != nil {
		return text, nil // it cannot be edited; what is wrong with the new text is found later
	}
	now, err := config.ReadDocument("", []byte(text))
	if err != nil {
		return text, nil
	}
	if err := now.KeepSecrets(before, secretKeys()); err != nil {
		return "", err
	}
	kept, err := now.Text()
	return string(kept), err
}

// keepLines puts back, as they were written, lines that came back as they were shown, those of remarks
// too. A line that stands there several times says nothing about which one it is.
func keepLines(old, text string) string {
	was, shown, lines := strings.Split(old, "\n"), strings.Split(hide(old), "\n"), strings.Split(text, "\n")
	if len(was) != len(shown) {
		return text
	}
	had, has := map[string]int{}, map[string]int{}
	back := map[string]string{}
	for i := range was {
		if was[i] != shown[i] {
			back[shown[i]] = was[i]
			had[shown[i]]++
		}
	}
	for _, line := range lines {
		has[line]++
	}
	for i, line := range lines {
		if had[line] == 1 && has[line] == 1 {
			lines[i] = back[line]
		}
	}
	return strings.Join(lines, "\n")
}

// secrets are the values of the keys that hold a config.Secret, however YAML lets them be written.
// It takes rather too much than too little: of a block, everything that is indented behind it.
var secrets = regexp.MustCompile(`(["']?(?:secret_key|password)["']?[ \t]*:\s*)([|>][^\n]*(?:\n[ \t]+[^\n]*)*|"(?:[^"\\]|\\.)*"|'[^']*'|[^\s,}][^\n,}]*)`)

// withoutSecrets hides them in a text that may be no YAML, and in remarks.
func withoutSecrets(text string) string {
	return secrets.ReplaceAllStringFunc(text, func(found string) string {
		at := secrets.FindStringSubmatchIndex(found)
		if strings.HasPrefix(found[at[4]:], `"`+hiddenSecret) {
			return found
		}
		return found[:at[3]] + `"` + hiddenSecret + `"`
	})
}
