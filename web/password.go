package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime/debug"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// Accounts keeps the users of the page, who of them is signed in, and the tokens of programs. Its methods may be called from any goroutine.
type Accounts interface {
	// Password is the hash that HashPassword made for user, and the user's role; found is false
	// when there is no such user.
	Password(user string) (hash []byte, role string, found bool, err error)
	// SetPassword makes or changes a user, and ends the user's sessions with that, durably when it returns.
	SetPassword(user string, hash []byte, role string) error
	// Users lists all of them by name.
	Users() ([]User, error)
	// RemoveUser removes one, with the user's sessions, durably when it returns; ErrUnknown.
	RemoveUser(name string) error
	// Tokens lists the tokens of the API; SetTokens replaces all of them, durably when it returns.
	Tokens() ([]Token, error)
	SetTokens([]Token) error
	// Sessions lists who is signed in; SetSessions replaces all of them, durably when it returns.
	Sessions() ([]KeptSession, error)
	SetSessions([]KeptSession) error
}

// Argon2id at the smallest cost that OWASP advises (19 MiB, two passes, one lane): the gateway has
// little memory, and hashes one password at a time.
const (
	argonMemory = 19 * 1024 // KiB
	argonTime   = 2
	argonLanes  = 1
	saltBytes   = 16
	keyBytes    = 32

	minPassword = 8   // characters
	maxPassword = 256 // bytes
)

// What CheckPassword refuses.
var (
	ErrPasswordShort = fmt.Errorf("a password needs at least %d characters", minPassword)
	ErrPasswordLong  = fmt.Errorf("a password may have at most %d bytes", maxPassword)
)

var errHashForm = errors.New("password hash is not in the form that HashPassword writes")

// CheckPassword says why nobody should choose this password.
func CheckPassword(password string) error {
	if utf8.RuneCountInString(password) < minPassword {
		return ErrPasswordShort
	}
	if len(password) > maxPassword {
		return ErrPasswordLong
	}
	return nil
}

// HashPassword is what Accounts keeps instead of a password: argon2id in the PHC string form. It
// refuses only what nobody could sign in with.
func HashPassword(password string) ([]byte, error) {
	if len(password) > maxPassword {
		return nil, ErrPasswordLong
	}
	salt := make([]byte, saltBytes)
	rand.Read(salt) // never fails
	key := derive(password, salt, argonTime, argonMemory, argonLanes)
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Appendf(nil, "$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonLanes, encode(salt), encode(key)), nil
}

// verifyPassword tells whether hash was made from password. It takes the cost from the hash, so that
// hashes of an older cost stay valid, within bounds that no damaged hash can exceed.
func verifyPassword(hash []byte, password string) (bool, error) {
	parts := bytes.Split(hash, []byte("$"))
	if len(parts) != 6 || string(parts[1]) != "argon2id" {
		return false, errHashForm
	}
	var version int
	var memory, time uint32
	var lanes uint8
	if _, err := fmt.Sscanf(string(parts[2]), "v=%d", &version); err != nil || version != argon2.Version {
		return false, errHashForm
	}
	if _, err := fmt.Sscanf(string(parts[3]), "m=%d,t=%d,p=%d", &memory, &time, &lanes); err != nil {
		return false, errHashForm
	}
	if memory > 4*argonMemory || time < 1 || time > 4*argonTime || lanes < 1 || lanes > 4 {
		return false, errHashForm
	}
	salt, err := base64.RawStdEncoding.DecodeString(string(parts[4]))
	if err != nil {
		return false, errHashForm
	}
	want, err := base64.RawStdEncoding.DecodeString(string(parts[5]))
	if err != nil || len(want) != keyBytes {
		return false, errHashForm
	}
	if len(password) > maxPassword {
		return false, nil
	}
	key := derive(password, salt, time, memory, lanes)
	return subtle.ConstantTimeCompare(key, want) == 1, nil
}

// derive gives its working memory back at once: a gateway that allocates little would otherwise keep
// those 19 MiB until its heap has doubled, which may be never.
func derive(password string, salt []byte, time, memory uint32, lanes uint8) []byte {
	defer debug.FreeOSMemory()
	return argon2.IDKey([]byte(password), salt, time, memory, lanes, keyBytes)
}

// turns lets one password be hashed at a time and a few wait, so that sign-ins take neither the
// memory nor the processor from the gateway.
type turns struct {
	queue chan struct{}
	turn  chan struct{}
}

var errBusy = errors.New("too many sign-ins at once")

func newTurns() turns {
	return turns{queue: make(chan struct{}, 8), turn: make(chan struct{}, 1)}
}

// take waits for the turn, which free gives back; it is errBusy when too many wait already.
func (t turns) take(ctx context.Context) (free func(), err error) {
	select {
	case t.queue <- struct{}{}:
	default:
		return nil, errBusy
	}
	select {
	case t.turn <- struct{}{}:
		return func() { <-t.turn; <-t.queue }, nil
	case <-ctx.Done():
		<-t.queue
		return nil, ctx.Err()
	}
}
