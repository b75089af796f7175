// Command bare is the least that gin can be asked for: it answers JSON of given sizes, each under its number, to
// anybody. The gateway's API is measured beside it.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// answer is encoded for each request, as the gateway's answers are.
type answer struct {
	Rows []row  `json:"rows,omitempty"`
	Rest string `json:"rest,omitempty"`
}

// row has what a device has in the gateway's status, in kind.
type row struct {
	Name   string    `json:"name"`
	Driver string    `json:"driver"`
	State  string    `json:"state"`
	Online bool      `json:"online"`
	Polls  uint64    `json:"polls"`
	Rate   float64   `json:"rate"`
	Since  time.Time `json:"since"`
}

func main() {
	if len(os.Args) < 2 {
		fail(errors.New("usage: bare ADDRESS SIZE…"))
	}
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	for _, text := range os.Args[2:] {
		size, err := strconv.Atoi(text)
		fail(err)
		a, err := sized(size)
		fail(err)
		engine.GET("/"+text, func(c *gin.Context) { c.JSON(http.StatusOK, a) })
	}
	fail(http.ListenAndServe(os.Args[1], engine))
}

// sized makes an answer of so many bytes, or of the next that there is.
func sized(size int) (a answer, err error) {
	length := func() int {
		text, wrong := json.Marshal(a)
		err = errors.Join(err, wrong)
		return len(text)
	}
	one := row{Driver: "modbus", State: "online", Online: true, Rate: 24.75, Since: time.Now().UTC()}
	for i := 0; length() < size && err == nil; i++ {
		one.Name, one.Polls = fmt.Sprintf("meter-%03d", i), uint64(1000+i)
		a.Rows = append(a.Rows, one)
	}
	for length() > size && len(a.Rows) > 0 {
		a.Rows = a.Rows[:len(a.Rows)-1]
	}
	// What is left is text; its name and quotes take eleven bytes.
	if left := size - length() - 11; left > 0 {
		a.Rest = strings.Repeat("x", left)
	}
	return a, err
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bare:", err)
		os.Exit(1)
	}
}
