package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"sluice/gateway/message"
)

// exportedValue is one small value, or one entry of the users' database, with its key: what it says
// has positions and log clocks in it, which a restored log keeps.
type exportedValue struct{ key, value []byte }

// frameValues is how many bytes of values a frame has, unless one is larger.
const frameValues = 64 << 10

// smallValues gives the small values that are in use and sound, and the positions of which they speak.
func smallValues(txn *badger.Txn, claim func(message.Position)) (list []exportedValue, err error) {
	it := txn.NewIterator(badger.DefaultIteratorOptions)
	defer it.Close()
	for it.Seek([]byte{prefixSmall}); it.ValidForPrefix([]byte{prefixSmall}); it.Next() {
		key := it.Item().KeyCopy(nil)
		value, err := it.Item().ValueCopy(nil)
		if err != nil {
			return nil, err
		}
		if v, err := decodeSmall(key, value); err == nil && v.mark == present {
			list = append(list, exportedValue{key, value})
			claim(v.claims())
		}
	}
	return list, nil
}

// exportSmall writes the small values. A carried message is read now: its topic may have got another
// meanwhile, which then is in the log.
func (s *Store) exportSmall(ctx context.Context, w *frameWriter, values []exportedValue) (written int, err error) {
	var frame []exportedValue
	size := 0
	flush := func() {
		if len(frame) > 0 {
			w.frame(frameSmall, appendValues(nil, frame))
		}
		frame, size = frame[:0], 0
	}
	add := func(v exportedValue) {
		if size += len(v.key) + len(v.value); size > frameValues {
			flush()
			size = len(v.key) + len(v.value)
		}
		frame = append(frame, v)
		written++
	}
	for _, v := range values {
		if err := ctx.Err(); err != nil {
			return written, err
		}
		if v.key[1] == smallRetained {
			body, err := decodeRetained(v.value[2 : len(v.value)-4])
			if err == nil && body.carried > 0 {
				key := carriedKey(binary.BigEndian.Uint32(v.key[2:]))
				content, err := s.carriedNow(key)
				if err != nil {
					return written, err
				}
				if _, wrong := decodeCarried(content, body.topic, body.at); wrong != nil {
					continue // replaced, or damaged: then it is no loss of the export's
				}
				add(exportedValue{key, content})
			}
		}
		add(v)
	}
	flush()
	return written, w.err
}

// carriedMeanwhile gives the values of the retained messages that lay in the log when the export began
// and were carried since, because their blocks were trimmed. They replace what the export has of them.
func (s *Store) carriedMeanwhile(values []exportedValue) (again []exportedValue, err error) {
	head := s.Head()
	for _, v := range values {
		if v.key[1] != smallRetained {
			continue
		}
		was, err := decodeRetained(v.value[2 : len(v.value)-4])
		if err != nil || was.carried > 0 || was.at >= head {
			continue
		}
		value, err := s.carriedNow(v.key)
		if err != nil {
			return nil, err
		}
		now, err := decodeSmall(v.key, value)
		if err != nil || now.mark == absent {
			continue
		}
		if body, err := decodeRetained(now.body); err == nil && body.topic == was.topic && body.at == was.at {
			again = append(again, exportedValue{v.key, value})
		}
	}
	return again, nil
}

func (s *Store) carriedNow(key []byte) ([]byte, error) {
	content, err := s.latest(key)
	if errors.Is(err, errAbsent) || errors.Is(err, errBlock) {
		return nil, nil
	}
	return content, err
}

func appendValues(b []byte, values []exportedValue) []byte {
	b = binary.AppendUvarint(b, uint64(len(values)))
	for _, v := range values {
		b = appendText(b, string(v.key))
		b = binary.AppendUvarint(b, uint64(len(v.value)))
		b = append(b, v.value...)
	}
	return b
}

// decodeValues reads a frame of values and believes only those that sound does.
func decodeValues(list []exportedValue, body []byte, sound func(key, value []byte) error) ([]exportedValue, error) {
	in := input{rest: body}
	for range in.count(2) {
		v := exportedValue{bytes.Clone(in.bytes()), bytes.Clone(in.bytes())}
		if in.short {
			break
		}
		if err := sound(v.key, v.value); err != nil {
			return nil, fmt.Errorf("%w: %v", ErrExport, err)
		}
		list = append(list, v)
	}
	if in.short || len(in.rest) > 0 {
		return nil, fmt.Errorf("%w: its values cannot be read", ErrExport)
	}
	return list, nil
}

// soundSmall checks a value of the small state that came with an export.
func soundSmall(key, value []byte) error {
	if len(key) > 0 && key[0] == prefixCarried {
		return carriedProblem(key, value)
	}
	v, err := decodeSmall(key, value)
	if err == nil && v.mark == absent {
		err = fmt.Errorf("%w under key %q: nothing", errValue, key)
	}
	return err
}

// admin writes the users' database; nil is none.
func (w *frameWriter) admin(a *Admin) (written int, err error) {
	if a == nil {
		return 0, nil
	}
	entries, err := a.entries()
	if err != nil {
		return 0, err
	}
	for first := 0; first < len(entries); {
		last, size := first, 0
		for ; last < len(entries) && (last == first || size+len(entries[last].value) <= frameValues); last++ {
			size += len(entries[last].value)
		}
		w.frame(frameAdmin, appendValues(nil, entries[first:last]))
		first = last
	}
	return len(entries), w.err
}

// entries gives the sound entries of the database, as they are stored.
func (a *Admin) entries() (list []exportedValue, err error) {
	err = a.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.DefaultIteratorOptions)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			v := exportedValue{key: it.Item().KeyCopy(nil)}
			var err error
			if v.value, err = it.Item().ValueCopy(nil); err != nil {
				return err
			}
			if soundAdmin(v.key, v.value) == nil {
				list = append(list, v)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read users and revisions: %w", err)
	}
	return list, nil
}

// soundAdmin checks an entry of the users' database.
func soundAdmin(key, value []byte) error {
	if len(key) < 2 || len(key) > 1+maxName {
		return fmt.Errorf("%w: key %q is of no user, revision or audit record", errValue, key)
	}
	if string(key) == signedInKey {
		return fmt.Errorf("%w: no backup says who is signed in", errValue)
	}
	if string(key) == tokensKey {
		var tokens []Token
		return decodeJSON(key, value, &tokens)
	}
	switch key[0] {
	case prefixUser:
		var user User
		if err := decodeJSON(key, value, &user); err != nil {
			return err
		}
		if string(userKey(user.Name)) != string(key) {
			return fmt.Errorf("%w: user %q under key %q", errValue, user.Name, key)
		}
		return nil
	case prefixRevision:
		var revision Revision
		if err := decodeJSON(key, value, &revision); err != nil {
			return err
		}
		return soundNumber(key, revision.Number)
	case prefixAudit:
		var audit Audit
		if err := decodeJSON(key, value, &audit); err != nil {
			return err
		}
		return soundNumber(key, audit.Number)
	case prefixSetup:
		var setup Setup
		if err := decodeJSON(key, value, &setup); err != nil {
			return err
		}
		if string(key) != string(setupKey) {
			return fmt.Errorf("%w: how far the set-up is under key %q", errValue, key)
		}
		return nil
	}
	return fmt.Errorf("%w: key %q is of no user, revision or audit record", errValue, key)
}

func soundNumber(key []byte, number uint64) error {
	if at, ok := positionOf(key); !ok || uint64(at) != number {
		return fmt.Errorf("%w: number %d under key %q", errValue, number, key)
	}
	return nil
}

// smallValues writes a frame of small values as they were: positions, log clocks and slots are the same.
func (r *restorer) smallValues(body []byte) error {
	values, err := decodeValues(nil, body, soundSmall)
	if err != nil {
		return err
	}
	b := newBatch(r.store.db)
	for _, v := range values {
		if b.set(v.key, v.value) {
			continue
		}
		if err := r.store.write(b); err != nil {
			return fmt.Errorf("write sessions and settings: %w", err)
		}
		b = newBatch(r.store.db)
		b.set(v.key, v.value)
	}
	r.sum.Values += len(values)
	if err := r.store.write(b); err != nil {
		return fmt.Errorf("write sessions and settings: %w", err)
	}
	return nil
}

// adminEntries writes a frame of the users' database, where it is wanted.
func (r *restorer) adminEntries(body []byte) error {
	entries, err := decodeValues(nil, body, soundAdmin)
	if err != nil {
		return err
	}
	r.sum.Admin += len(entries)
	if r.adminDir == "" {
		return nil
	}
	if r.admin == nil {
		if r.admin, err = OpenAdmin(r.adminDir); err != nil {
			return err
		}
	}
	return r.admin.write(func(txn *badger.Txn) error {
		for _, e := range entries {
			if err := txn.Set(e.key, e.value); err != nil {
				return err
			}
		}
		return nil
	})
}
