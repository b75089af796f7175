package queue

import (
	"context"
	"strings"
)

// notePrefix is what the names of notes begin with, among the topics' settings; no topic's name does.
const notePrefix = "\x00note\x00"

// noteValue is the attribute that has a note's text.
const noteValue = "text"

// Note is a small text that somebody configured and that outlives us: about a group and a topic, say, or
// an entry of the name server's table. Names have parts.
type Note struct {
	Parts []string
	Text  string
}

func noteName(parts []string) string { return notePrefix + strings.Join(parts, "\x00") }

// Note gives the text of a note.
func (q *Queues) Note(parts ...string) (text string, known bool) {
	settings, known := q.log.TopicSettings(noteName(parts))
	return settings.Attributes[noteValue], known
}

// PutNote makes or replaces a note, durably. Its name and its text have together not much more than a
// kilobyte of room.
func (q *Queues) PutNote(ctx context.Context, text string, parts ...string) error {
	return q.log.PutTopic(ctx, noteName(parts), TopicSettings{Attributes: map[string]string{noteValue: text}})
}

// DropNote forgets a note, durably.
func (q *Queues) DropNote(ctx context.Context, parts ...string) error {
	return q.log.DropTopic(ctx, noteName(parts))
}

// Notes lists the notes whose names begin with some parts, by name.
func (q *Queues) Notes(parts ...string) (list []Note) {
	prefix := noteName(parts) + "\x00"
	q.log.EachTopicSettings(func(name string, settings TopicSettings) {
		if strings.HasPrefix(name, prefix) {
			rest, _ := strings.CutPrefix(name, notePrefix)
			list = append(list, Note{strings.Split(rest, "\x00"), settings.Attributes[noteValue]})
		}
	})
	return list
}

// ForbiddenNote is the kind of notes that say that a group may not read a topic: their parts are it, group and topic.
const ForbiddenNote = "forbidden"

// IsForbidden says that a group may not read a topic.
func (q *Queues) IsForbidden(group, topic string) bool {
	_, forbidden := q.Note(ForbiddenNote, group, topic)
	return forbidden
}
