package access

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// hash is a password's slow hash, in one of the forms that people have.
type hash struct {
	text      string
	algorithm algorithm
	memory    uint32 // of argon2id, KiB
	rounds    int    // passes of argon2id, iterations of PBKDF2, or the logarithm of bcrypt's
	lanes     uint8  // of argon2id
	salt, key []byte // not of bcrypt, which compares by its text
}

type algorithm byte

const (
	argon2id algorithm = iota
	bcrypted
	pbkdf2ed // mosquitto_passwd writes it: PBKDF2 with HMAC-SHA512
)

// limits keep a hash in a file from taking the gateway's memory or its processor.
type limits struct{ memory uint32 } // KiB

const (
	largestMemory = 256 << 10 // KiB
	// largestWork is memory times passes, KiB: about a second of one core.
	largestWork   = 1 << 20
	largestCost   = 14
	mostRounds    = 1_000_000
	mostLanes     = 16
	shortestBytes = 8 // of a salt or a key; longer than longestBytes are nobody's
	longestBytes  = 128
)

// Argon2id at the smallest cost that OWASP advises, as the page's own passwords have it: 19 MiB, two
// passes, one lane.
const (
	ownMemory = 19 << 10 // KiB
	ownRounds = 2
	ownLanes  = 1
)

func limitsFor(bytes int64) limits {
	if bytes <= 0 {
		return limits{largestMemory}
	}
	return limits{uint32(min(max(bytes>>10, ownMemory), largestMemory))}
}

// HashPassword makes what a password file holds: argon2id in the PHC string form. It refuses a
// password that nobody could log in with.
func HashPassword(password []byte) (string, error) {
	if len(password) == 0 {
		return "", errors.New("the password is empty")
	}
	if len(password) > longestInput {
		return "", fmt.Errorf("the password has %d bytes, at most %d are allowed", len(password), longestInput)
	}
	salt := make([]byte, 16)
	rand.Read(salt) // never fails
	h := hash{algorithm: argon2id, memory: ownMemory, rounds: ownRounds, lanes: ownLanes, salt: salt, key: make([]byte, 32)}
	h.key = h.derive(password)
	return h.format(), nil
}

var errHashForm = errors.New("it is no hash of bcrypt ($2b$…), argon2id ($argon2id$…) or mosquitto_passwd ($7$…); sluice passwd makes one")

// parseHash reads a hash and refuses one that costs too much.
func parseHash(text string, within limits) (*hash, error) {
	switch {
	case strings.HasPrefix(text, "$argon2id$"):
		return parseArgon2(text, within)
	case strings.HasPrefix(text, "$2a$"), strings.HasPrefix(text, "$2b$"), strings.HasPrefix(text, "$2y$"):
		return parseBcrypt(text)
	case strings.HasPrefix(text, "$7$"):
		return parsePBKDF2(text)
	case strings.HasPrefix(text, "$6$"):
		return nil, errors.New("it is a fast hash ($6$…), which an old mosquitto_passwd made; sluice passwd makes a slow one")
	}
	return nil, errHashForm
}

func parseArgon2(text string, within limits) (*hash, error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return nil, errHashForm
	}
	costs := strings.Split(parts[3], ",")
	if len(costs) != 3 {
		return nil, errHashForm
	}
	memory, okMemory := number(costs[0], "m=")
	rounds, okRounds := number(costs[1], "t=")
	lanes, okLanes := number(costs[2], "p=")
	salt, okSalt := decode(base64.RawStdEncoding, parts[4])
	key, okKey := decode(base64.RawStdEncoding, parts[5])
	if !okMemory || !okRounds || !okLanes || !okSalt || !okKey || rounds == 0 || lanes == 0 || memory < 8*lanes {
		return nil, errHashForm
	}
	if memory > int(within.memory) {
		return nil, fmt.Errorf("the hash takes %d KiB of memory (m=), at most %d are allowed here", memory, within.memory)
	}
	if rounds > largestWork/memory || lanes > mostLanes {
		return nil, fmt.Errorf("the hash takes too long (t=%d, p=%d); sluice passwd makes one that does not", rounds, lanes)
	}
	return &hash{text: text, algorithm: argon2id, memory: uint32(memory), rounds: rounds, lanes: uint8(lanes), salt: salt, key: key}, nil
}

const bcryptBytes = 60

func parseBcrypt(text string) (*hash, error) {
	const letters = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	if len(text) != bcryptBytes || text[6] != '$' || strings.Trim(text[7:], letters) != "" {
		return nil, errHashForm
	}
	cost, err := bcrypt.Cost([]byte(text))
	if err != nil {
		return nil, errHashForm
	}
	if cost > largestCost {
		return nil, fmt.Errorf("the hash takes too long: its cost is %d, at most %d is allowed", cost, largestCost)
	}
	return &hash{text: text, algorithm: bcrypted, rounds: cost}, nil
}

func parsePBKDF2(text string) (*hash, error) {
	parts := strings.Split(text, "$")
	if len(parts) != 5 {
		return nil, errHashForm
	}
	rounds, okRounds := number(parts[2], "")
	salt, okSalt := decode(base64.StdEncoding, parts[3])
	key, okKey := decode(base64.StdEncoding, parts[4])
	if !okRounds || !okSalt || !okKey || rounds == 0 || len(key) != sha512.Size {
		return nil, errHashForm
	}
	if rounds > mostRounds {
		return nil, fmt.Errorf("the hash takes too long: %d iterations, at most %d are allowed", rounds, mostRounds)
	}
	return &hash{text: text, algorithm: pbkdf2ed, rounds: rounds, salt: salt, key: key}, nil
}

// number reads what stands behind name, in the one form that a number has.
func number(s, name string) (int, bool) {
	digits, ok := strings.CutPrefix(s, name)
	n, err := strconv.ParseUint(digits, 10, 31)
	return int(n), ok && err == nil && strconv.FormatUint(n, 10) == digits
}

func decode(encoding *base64.Encoding, s string) ([]byte, bool) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, false // the decoder would pass them over
	}
	out, err := encoding.Strict().DecodeString(s)
	return out, err == nil && len(out) >= shortestBytes && len(out) <= longestBytes
}

// matches says whether the hash was made from password. It takes the time that the hash was made to
// take, whatever the answer.
func (h *hash) matches(password []byte) bool {
	if h.algorithm == bcrypted {
		return bcrypt.CompareHashAndPassword([]byte(h.text), password) == nil
	}
	return subtle.ConstantTimeCompare(h.derive(password), h.key) == 1
}

func (h *hash) derive(password []byte) []byte {
	if h.algorithm == argon2id {
		return argon2.IDKey(password, h.salt, uint32(h.rounds), h.memory, h.lanes, uint32(len(h.key)))
	}
	key, err := pbkdf2.Key(sha512.New, string(password), h.salt, h.rounds, len(h.key))
	if err != nil {
		return nil // equals no key: a Go that is confined to FIPS 140 refuses short salts
	}
	return key
}

func (h *hash) format() string {
	switch h.algorithm {
	case bcrypted:
		return h.text
	case pbkdf2ed:
		encode := base64.StdEncoding.EncodeToString
		return fmt.Sprintf("$7$%d$%s$%s", h.rounds, encode(h.salt), encode(h.key))
	}
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.rounds, h.lanes, encode(h.salt), encode(h.key))
}
