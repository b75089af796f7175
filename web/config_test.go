package web

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sluice/gateway/config"
)

// fakeConfigurator has one tag, and takes every change of it but those that speak of mistakes.
type fakeConfigurator struct {
	change ConfigChange
	err    error
}

const fakeTag = "abc"

func (f *fakeConfigurator) State() ConfigState { return ConfigState{ETag: fakeTag, Writable: true} }
func (f *fakeConfigurator) Configuration() (Configuration, error) {
	return Configuration{ConfigState: f.State(), Text: "gateway: {}\n", Document: []byte(`{"gateway":{}}`)}, f.err
}
func (f *fakeConfigurator) Schema() ConfigSchema {
	return ConfigSchema{Sections: map[string][]config.Field{"gateway": config.Describe(config.Gateway{})}}
}
func (f *fakeConfigurator) Preview(change ConfigChange, _ bool) (ConfigPreview, error) {
	f.change = change
	return ConfigPreview{ETag: fakeTag, Changed: true, Problems: []SectionProblem{}}, f.err
}
func (f *fakeConfigurator) Apply(change ConfigChange, etag, _ string) (ConfigApplied, error) {
	f.change = change
	if f.err == nil && etag != fakeTag {
		return ConfigApplied{}, ErrChanged
	}
	return ConfigApplied{ETag: "def", Revision: 2, Pending: &PendingChange{ID: "p", Until: time.Unix(1, 0)}, Changes: []KeyChange{{Path: "gateway.name", Before: `"line-3"`, After: `"a"`}}}, f.err
}
func (f *fakeConfigurator) Reload(string) (ConfigApplied, error) {
	return ConfigApplied{ETag: fakeTag}, f.err
}
func (f *fakeConfigurator) Confirm(id string) error {
	if id != "p" {
		return fmt.Errorf("no such change: %w", ErrUnknown)
	}
	return f.err
}
func (f *fakeConfigurator) RollBack(string) ([]KeyChange, error) {
	return []KeyChange{{Path: "web.listen", Before: `":9"`, After: `":8"`}}, f.err
}
func (f *fakeConfigurator) Diff(from, to uint64) ([]DiffLine, error) {
	if from > 2 || to > 2 {
		return nil, ErrUnknown
	}
	return []DiffLine{{Kind: "gap"}}, f.err
}
func (f *fakeConfigurator) Restore(n uint64, etag, user string) (ConfigApplied, error) {
	if n > 2 {
		return ConfigApplied{}, ErrUnknown
	}
	return f.Apply(ConfigChange{}, etag, user)
}

func TestTheConfigurationIsChangedByWhoHasSeenIt(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	token := bearer(s)
	got := ask(s, "GET", "/api/v1/config", "", token...)
	if got.Code != http.StatusOK || got.Header().Get("ETag") != `"abc"` {
		t.Errorf("the configuration is %d, tag %q", got.Code, got.Header().Get("ETag"))
	}
	const body = `{"edits":[{"path":["gateway","name"],"value":"a"},{"path":["web"]}]}`
	wantProblem(t, ask(s, "PUT", "/api/v1/config", body, token...), http.StatusPreconditionRequired)
	wantProblem(t, ask(s, "PUT", "/api/v1/config", body, append(token, "If-Match", `"old"`)...), http.StatusPreconditionFailed)
	got = ask(s, "PUT", "/api/v1/config", body, append(token, "If-Match", `"abc"`)...)
	if applied := decode[ConfigApplied](t, got); applied.Revision != 2 || applied.Pending.ID != "p" || got.Header().Get("ETag") != `"def"` {
		t.Errorf("applied is %+v", applied)
	}
	if strings.Contains(got.Body.String(), "line-3") {
		t.Errorf("the answer has what is for the audit log: %s", got.Body)
	}
	if got := ask(s, "DELETE", "/api/v1/config/pending", "", token...); got.Code != http.StatusNoContent {
		t.Errorf("rolled back with %d", got.Code)
	}
	for i, query := range []string{"search=WEB.LISTEN", "search=line-3", "search=revision+2"} {
		page := decode[listPage[Audit]](t, ask(s, "GET", "/api/v1/audit?"+query, "", token...))
		want := KeyChange{Path: "gateway.name", Before: `"line-3"`, After: `"a"`}
		if i == 0 {
			want = KeyChange{Path: "web.listen", Before: `":9"`, After: `":8"`}
		}
		if len(page.Items) != 1 || len(page.Items[0].Changes) != 1 || page.Items[0].Changes[0] != want || page.Items[0].User != administrator {
			t.Errorf("%s: the audit log has %+v", query, page.Items)
		}
	}
	fake, _ := s.options.Configurator.(*fakeConfigurator)
	if e := fake.change.Edits; len(e) != 2 || string(e[0].Value) != `"a"` || e[1].Value != nil {
		t.Errorf("the edits arrive as %+v", e)
	}
	fake.err = &SectionError{Problems: []SectionProblem{{Path: []string{"web", "listen"}, Line: 3, Text: "no port"}}}
	if p := wantProblem(t, ask(s, "PUT", "/api/v1/config", body, append(token, "If-Match", `"abc"`)...), http.StatusUnprocessableEntity); len(p.Problems) != 1 || p.Detail != "web.listen: no port" {
		t.Errorf("the problem is %+v", p)
	}
	for err, status := range map[error]int{ErrPending: http.StatusConflict, ErrFileDiffers: http.StatusConflict, ErrNoFile: http.StatusConflict, errors.New("disk"): http.StatusInternalServerError} {
		fake.err = err
		wantProblem(t, ask(s, "PUT", "/api/v1/config", body, append(token, "If-Match", `"abc"`)...), status)
	}
}

func TestWhatIsNoChangeIsRefused(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	token := bearer(s)
	for body, status := range map[string]int{
		"": http.StatusBadRequest, "null": http.StatusUnprocessableEntity, "{}": http.StatusUnprocessableEntity, "[]": http.StatusBadRequest,
		`{"edits":[]}`: http.StatusUnprocessableEntity, `{"edits":null,"text":null}`: http.StatusUnprocessableEntity, `{"text":"a","edits":[{"path":["a"]}]}`: http.StatusUnprocessableEntity,
		`{"text":1}`: http.StatusBadRequest, `{"edits":[{"path":"a"}]}`: http.StatusBadRequest, `{"edits":[{"to":1}]}`: http.StatusBadRequest,
		`{"text":"` + strings.Repeat("x", maxConfig) + `"}`: http.StatusRequestEntityTooLarge,
	} {
		if len(body) > 100 {
			t.Log("a large body")
		} else {
			t.Log(body)
		}
		wantProblem(t, ask(s, "POST", "/api/v1/config/preview", body, token...), status)
	}
	wantProblem(t, ask(s, "POST", "/api/v1/config/confirm", `{"id":"x"}`, token...), http.StatusNotFound)
	wantProblem(t, ask(s, "POST", "/api/v1/config/confirm", `null`, token...), http.StatusNotFound)
	wantProblem(t, ask(s, "GET", "/api/v1/revisions/x/diff", "", token...), http.StatusNotFound)
	wantProblem(t, ask(s, "GET", "/api/v1/revisions/9/diff", "", token...), http.StatusNotFound)
	wantProblem(t, ask(s, "GET", "/api/v1/revisions/1/diff?to=x", "", token...), http.StatusUnprocessableEntity)
	wantProblem(t, ask(s, "POST", "/api/v1/revisions/9/restore", "", append(token, "If-Match", `"abc"`)...), http.StatusNotFound)
	wantProblem(t, ask(s, "POST", "/api/v1/revisions/1/restore", "", token...), http.StatusPreconditionRequired)
}

func TestOnlyAdministratorsChangeTheConfiguration(t *testing.T) {
	s := newServer(t, newFakeGateway(), signedUp(t))
	for role, want := range map[string]map[string]int{
		"viewer":   {"GET /config": 200, "GET /config/state": 200, "GET /config/schema": 200, "POST /config/preview": 403, "PUT /config": 403, "DELETE /config/pending": 403, "POST /config/confirm": 403, "POST /config/reload": 403, "GET /revisions/1/diff": 403, "POST /revisions/1/restore": 403},
		"operator": {"GET /config": 200, "POST /config/preview": 200, "PUT /config": 403, "POST /config/reload": 403, "DELETE /config/pending": 403},
	} {
		token := []string{"Authorization", "Bearer " + s.sessions.open("zoe", role)}
		for request, status := range want {
			method, path, _ := strings.Cut(request, " ")
			if got := ask(s, method, "/api/v1"+path, `{"text":"a"}`, token...); got.Code != status {
				t.Errorf("%s as %s is %d, want %d: %s", request, role, got.Code, status, got.Body)
			}
		}
	}
}
