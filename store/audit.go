package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// Audit is one thing that somebody did to the gateway.
type Audit struct {
	Number  uint64 // ascending; given by AddAudit
	Time    int64  // Unix milliseconds
	User    string
	Address string // where from; empty when it was done on the machine itself
	Action  string // "sign-in", "set-up", "backup", "cursor dropped", …
	Subject string // what it was done to; may be empty
	Before  string `json:",omitempty"` // what there was, without secrets
	After   string `json:",omitempty"` // what there is now, without secrets

	Changes     []AuditChange `json:",omitempty"` // by key, without secrets
	MoreChanges int           `json:",omitempty"` // that were left out
}

// AuditChange is one key that was changed, with what it said before and says now; "" is nothing.
type AuditChange struct{ Path, Before, After string }

// Revision is one configuration that was in force.
type Revision struct {
	Number uint64 // ascending; given by AddRevision
	Time   int64  // Unix milliseconds
	Author string // who or what brought it: a user's name, or "file" or "sighup"
	Text   string
}

const (
	prefixAudit    = 'a'
	prefixRevision = 'v'

	keptRevisions = 1000
	maxRevision   = 512 << 10

	keptAudits    = 10_000
	maxAuditField = 256
	maxAuditState = 2 << 10 // bytes of Before and of After

	maxAuditChanges = 50
	maxAuditValue   = 200 // bytes of each side of a change
)

// AddAudit records what somebody did, stamped with now when it has no time. Fields are cut to 256
// bytes, Before and After to 2 KiB, the sides of a change to 200 bytes; changes beyond 50 are only counted,
// and the oldest records beyond 10,000 are forgotten.
func (a *Admin) AddAudit(audit Audit) error {
	for _, field := range []*string{&audit.User, &audit.Address, &audit.Action, &audit.Subject} {
		*field = cut(*field, maxAuditField)
	}
	audit.Before, audit.After = cut(audit.Before, maxAuditState), cut(audit.After, maxAuditState)
	audit.Changes, audit.MoreChanges = fewChanges(audit.Changes, audit.MoreChanges)
	if audit.Time == 0 {
		audit.Time = time.Now().UnixMilli()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	audit.Number = a.audits.next
	if err := a.addLocked(&a.audits, audit); err != nil {
		return fmt.Errorf("add an audit record: %w", err)
	}
	return nil
}

// fewChanges gives as many changes as a record has room for, and how many are left out.
func fewChanges(all []AuditChange, more int) ([]AuditChange, int) {
	few := slices.Clone(all[:min(len(all), maxAuditChanges)])
	for i, c := range few {
		few[i] = AuditChange{cut(c.Path, maxAuditField), cutValue(c.Before), cutValue(c.After)}
	}
	return few, more + len(all) - len(few)
}

// cutValue shortens a value and shows that it did.
func cutValue(text string) string {
	if len(text) <= maxAuditValue {
		return text
	}
	return cut(text, maxAuditValue) + "…"
}

// cut shortens a text without leaving half a character at its end.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "")
}

// Audits gives up to limit records, the newest first, of those with a number below before that are
// wanted; before 0 is from the newest, wanted nil is all.
func (a *Admin) Audits(before uint64, limit int, wanted func(Audit) bool) ([]Audit, error) {
	list, err := listNewest(a, &a.audits, before, limit, wanted)
	if err != nil {
		return nil, fmt.Errorf("list audit records: %w", err)
	}
	return list, nil
}

// AddRevision records a configuration, stamped with now when it has no time, unless it has the text
// of the newest: a restart is no revision. The oldest beyond 1,000 are forgotten.
func (a *Admin) AddRevision(revision Revision) error {
	if len(revision.Text) > maxRevision {
		return fmt.Errorf("add a revision: %d bytes, at most %d fit", len(revision.Text), maxRevision)
	}
	if revision.Time == 0 {
		revision.Time = time.Now().UnixMilli()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	newest, err := listNewest[Revision](a, &a.revisions, 0, 1, nil)
	if err == nil && len(newest) == 1 && newest[0].Text == revision.Text {
		return nil
	}
	revision.Number = a.revisions.next
	if err := a.addLocked(&a.revisions, revision); err != nil {
		return fmt.Errorf("add a revision: %w", err)
	}
	return nil
}

// Revisions gives up to limit revisions, the newest first, of those with a number below before; 0 is
// from the newest.
func (a *Admin) Revisions(before uint64, limit int) ([]Revision, error) {
	list, err := listNewest[Revision](a, &a.revisions, before, limit, nil)
	if err != nil {
		return nil, fmt.Errorf("list revisions: %w", err)
	}
	return list, nil
}

// Revision finds one revision.
func (a *Admin) Revision(number uint64) (revision Revision, known bool, err error) {
	list, err := a.Revisions(number+1, 1)
	if err != nil || len(list) == 0 || list[0].Number != number {
		return Revision{}, false, err
	}
	return list[0], true, nil
}

// journal is a numbered list in the database, of which the newest are kept.
type journal struct {
	prefix byte
	kept   uint64
	next   uint64 // guarded by Admin.mu
}

func (j *journal) key(n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{j.prefix}, n)
}

// recover finds the next number.
func (j *journal) recover(txn *badger.Txn) {
	it := txn.NewIterator(badger.IteratorOptions{Reverse: true})
	defer it.Close()
	j.next = 1
	if it.Seek([]byte{j.prefix + 1}); it.ValidForPrefix([]byte{j.prefix}) {
		if last, ok := positionOf(it.Item().Key()); ok {
			j.next = uint64(last) + 1
		}
	}
}

// addLocked writes the next entry and forgets the one that is one too many.
func (a *Admin) addLocked(j *journal, entry any) error {
	key := j.key(j.next)
	value, err := encodeJSON(key, entry)
	if err != nil {
		return err
	}
	err = a.write(func(txn *badger.Txn) error {
		if j.next > j.kept {
			if err := txn.Delete(j.key(j.next - j.kept)); err != nil {
				return err
			}
		}
		return txn.Set(key, value)
	})
	if err == nil {
		j.next++
	}
	return err
}

// listNewest reads a journal from behind. An entry that is damaged does not hide the others.
func listNewest[T any](a *Admin, j *journal, before uint64, limit int, wanted func(T) bool) (list []T, err error) {
	from := []byte{j.prefix + 1}
	if before > 0 {
		from = j.key(before - 1)
	}
	err = a.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Reverse: true})
		defer it.Close()
		for it.Seek(from); len(list) < limit && it.ValidForPrefix([]byte{j.prefix}); it.Next() {
			var entry T
			item := it.Item()
			err := item.Value(func(value []byte) error { return decodeJSON(item.Key(), value, &entry) })
			if errors.Is(err, errValue) {
				continue
			}
			if err != nil {
				return err
			}
			if wanted == nil || wanted(entry) {
				list = append(list, entry)
			}
		}
		return nil
	})
	return list, err
}
