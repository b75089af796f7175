package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
)

// System tells about the machine and the process, and starts the gateway anew. Its methods may be called
// from any goroutine.
type System interface {
	State() SystemState
	// Configuration is the text of the configuration that runs, with its secrets hidden.
	Configuration() string
	// Clean replaces whatever the configuration keeps secret by ***, however the text writes it.
	Clean(text []byte) []byte
	// Restart begins to stop the gateway in order and to start it again; ErrNoRestart.
	Restart() error
}

// ErrNoRestart is what Restart gives where nobody would start the gateway again.
var ErrNoRestart = errors.New("this gateway cannot start itself anew; whoever started it has to")

// SystemState is the answer of GET /api/v1/system. What is not known is null.
type SystemState struct {
	Network SystemNetwork `json:"network"`
	Time    Time          `json:"time"`
	Machine SystemMachine `json:"machine"`
	Process SystemProcess `json:"process"`
	Storage SystemStorage `json:"storage"`
}

// SystemNetwork is how the machine is connected.
type SystemNetwork struct {
	Interfaces []SystemInterface `json:"interfaces"`
	Routes     []SystemRoute     `json:"default_routes"` // the one that is used at the front
	DNS        []string          `json:"dns"`
}

// SystemInterface is one network interface.
type SystemInterface struct {
	Name      string   `json:"name"`
	Up        bool     `json:"up"` // switched on, with a carrier
	MAC       *string  `json:"mac"`
	Speed     *int64   `json:"speed_mbps"`
	Addresses []string `json:"addresses"` // with the length of the prefix
	Loopback  bool     `json:"loopback"`
}

// SystemRoute is a default route.
type SystemRoute struct {
	Gateway   *string `json:"gateway"` // null: whatever is beyond the interface
	Interface string  `json:"interface"`
}

// SystemMachine is the hardware and how busy it is.
type SystemMachine struct {
	Model        *string             `json:"model"`
	Kernel       *string             `json:"kernel"`
	Architecture string              `json:"architecture"`
	Processors   int                 `json:"processors"`
	Load         []float64           `json:"load"` // over 1, 5 and 15 minutes
	Memory       *int64              `json:"memory"`
	Available    *int64              `json:"memory_available"`
	Group        SystemGroup         `json:"group"`
	Temperatures []SystemTemperature `json:"temperatures"`
	Uptime       *float64            `json:"uptime_seconds"`
}

// SystemGroup is what the control group of the process allows; null: as much as there is.
type SystemGroup struct {
	Memory     *int64   `json:"memory"`
	MemoryUsed *int64   `json:"memory_used"`
	Processors *float64 `json:"processors"`
}

// SystemTemperature is what one sensor measures.
type SystemTemperature struct {
	Name    string  `json:"name"`
	Celsius float64 `json:"celsius"`
}

// SystemProcess is the gateway as a process.
type SystemProcess struct {
	Version    string    `json:"version"`
	Go         string    `json:"go"`
	Started    time.Time `json:"started"`
	Resident   *int64    `json:"rss"`
	Anonymous  *int64    `json:"rss_anonymous"`
	Heap       int64     `json:"heap"`
	Goroutines int       `json:"goroutines"`
	Threads    *int64    `json:"threads"`
	Files      *int      `json:"files"`
	FileLimit  *int64    `json:"file_limit"`
	Share      *float64  `json:"cpu_share"` // of one processor, over the last seconds
}

// SystemStorage is where the data lie.
type SystemStorage struct {
	Dir   string        `json:"dir"`
	Total *int64        `json:"total"`
	Free  *int64        `json:"free"` // for the gateway
	Log   SystemLog     `json:"log"`
	Flash *SystemFlash  `json:"flash"` // null: no eMMC that tells of its wear
	Wear  SystemWriting `json:"written"`
}

// SystemLog is the log's share of it.
type SystemLog struct {
	Bytes int64  `json:"bytes"`
	Limit int64  `json:"limit"`
	Head  uint64 `json:"head"` // the first position that is kept
	Tail  uint64 `json:"tail"` // the last
}

// SystemWriting is what this process writes, by the kernel's account.
type SystemWriting struct {
	Bytes   *int64   `json:"bytes"`   // since the process began
	Seconds *float64 `json:"seconds"` // since then
	PerDay  *float64 `json:"per_day"` // bytes; null until it has been measured for ten minutes
	// RewriteDays is in how many days as much is written as the file system holds: what to divide the
	// cycles by that the flash is made for.
	RewriteDays *float64 `json:"rewrite_days"`
	// YearsLeft is an estimate for the flash below, at the present rate; null where it does not tell its wear.
	YearsLeft *float64 `json:"years_left"`
}

// SystemFlash is what an eMMC says of its wear.
type SystemFlash struct {
	Device string  `json:"device"`
	Name   string  `json:"name"`
	Used   *int    `json:"used_percent"` // of its life, in steps of 10; 110: more than all of it
	Spare  *string `json:"spare"`        // normal, warning or urgent
}

func (s *Server) systemRoutes(signedIn *gin.RouterGroup) {
	signedIn.GET("/system", func(c *gin.Context) { answer(c, http.StatusOK, s.options.System.State()) })
	signedIn.POST("/restart", administratorsOnly, s.restart)
	signedIn.GET("/diagnostics", administratorsOnly, s.diagnostics)
}

// restarting is the answer to a restart: when it has happened, the process has another start.
type restarting struct {
	Started time.Time `json:"started"`
}

func (s *Server) restart(c *gin.Context) {
	started := s.options.Gateway.Status().Started
	s.record(c, who(c).user, "restart", "")
	switch err := s.options.System.Restart(); {
	case errors.Is(err, ErrNoRestart):
		refuse(c, problem{Status: http.StatusConflict, Title: "No restart", Detail: err.Error()})
	case err != nil:
		_ = c.Error(err)
		refuse(c, problem{Status: http.StatusInternalServerError})
	default:
		answer(c, http.StatusAccepted, restarting{started})
	}
}
