package queue_test

import (
	"fmt"
	"slices"
	"testing"

	"sluice/gateway/queue"
)

func TestNotesOutliveUsAndAreNoTopics(t *testing.T) {
	p := plantOf(t, queue.Options{})
	for i := range 3 {
		if err := p.PutNote(t.Context(), fmt.Sprint("text ", i), "kind", "a", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.DropNote(t.Context(), "kind", "a", "1"); err != nil {
		t.Fatal(err)
	}
	p.restart()
	if text, known := p.Note("kind", "a", "2"); text != "text 2" || !known {
		t.Errorf("the note is %q, %t", text, known)
	}
	if text, known := p.Note("kind", "a", "1"); known {
		t.Errorf("a dropped note is %q", text)
	}
	var texts []string
	for _, one := range p.Notes("kind", "a") {
		texts = append(texts, one.Text)
	}
	if want := []string{"text 0", "text 2"}; !slices.Equal(texts, want) {
		t.Errorf("the notes are %q, want %q", texts, want)
	}
	if more := p.Notes("kin"); len(more) > 0 {
		t.Errorf("half a part finds %v", more)
	}
	for _, topic := range p.Topics() {
		if topic.Name[0] == 0 {
			t.Errorf("a note is taken for the topic %q", topic.Name)
		}
	}
}

func TestADroppedTopicIsUnknownUntilItHasAMessage(t *testing.T) {
	p := plantOf(t, queue.Options{})
	send := func() {
		_, err := waited(t, func(done func(queue.Sent, error)) error {
			return p.Send(t.Context(), &queue.Message{Topic: "t", Body: []byte("x")}, 1, done)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	send()
	if err := p.DropTopic(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	p.restart()
	if topic, known := p.Topic("t"); known {
		t.Errorf("after it was dropped and a restart there is %+v", topic)
	}
	send()
	if _, known := p.Topic("t"); !known {
		t.Error("a message did not make it anew")
	}
}

func TestADroppedGroupGoesOnWhereItStoodIfSoWanted(t *testing.T) {
	p := plantOf(t, queue.Options{})
	for _, keep := range []bool{true, false} {
		if _, err := p.UseGroup(t.Context(), "g"); err != nil {
			t.Fatal(err)
		}
		if err := p.Commit("g", "t", 0, 7); err != nil {
			t.Fatal(err)
		}
		if err := p.DropGroup(t.Context(), "g", keep); err != nil {
			t.Fatal(err)
		}
		if _, known := p.Group("g"); known || len(p.Groups()) > 0 {
			t.Errorf("keep %t: a dropped group is known, or listed: %v", keep, p.Groups())
		}
		if _, err := p.UseGroup(t.Context(), "g"); err != nil {
			t.Fatal(err)
		}
		if next, known := p.Offset("g", "t", 0); known != keep || keep && next != 7 {
			t.Errorf("keep %t: it goes on at %d, known %t", keep, next, known)
		}
	}
}
