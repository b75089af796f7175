package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

const (
	importPath    = "/api/v1/points/import"
	maxImport     = 8 << 20          // bytes of a file with points
	importTime    = 2 * time.Minute  // to send one
	registersTime = 20 * time.Second // until a device has had its turn and answered
	maxWords      = 125              // that are decoded at once, as many as a request reads
	maxInspected  = 4                // devices that are looked at at once
)

func (s *Server) pointRoutes(signedIn *gin.RouterGroup) {
	signedIn.GET("/profiles", s.profiles)
	signedIn.GET("/profiles/file", s.profileFile)
	signedIn.GET("/devices/plan", s.plan)
	signedIn.GET("/devices/points", s.exportPoints)
	signedIn.GET("/devices/file", s.deviceFile)
	signedIn.POST("/registers", s.registers)
	signedIn.POST(strings.TrimPrefix(importPath, "/api/v1"), operatorsOnly, s.importPoints)
}

type profileList struct {
	Items []Profile `json:"items"`
}

func (s *Server) profiles(c *gin.Context) {
	all, err := s.options.Points.Profiles()
	if err != nil {
		s.pointsFailed(c, err)
		return
	}
	list := profileList{Items: []Profile{}}
	for _, p := range all {
		if p.is(c.Query("q")) {
			list.Items = append(list.Items, p)
		}
	}
	answer(c, http.StatusOK, list)
}

// is says whether every word of a search is somewhere in what a profile says of itself.
func (p *Profile) is(wanted string) bool {
	text := strings.ToLower(strings.Join([]string{p.Name, p.Kind, p.Category, p.Title, p.Vendor, p.Summary.English, p.Summary.Chinese}, "\n"))
	for word := range strings.FieldsSeq(strings.ToLower(wanted)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

func (s *Server) profileFile(c *gin.Context) {
	name := c.Query("name")
	data, err := s.options.Points.ProfileFile(name)
	if err != nil {
		s.pointsFailed(c, err)
		return
	}
	attach(c, name+".yaml", yamlType, data)
}

const yamlType = "application/yaml; charset=utf-8"

func (s *Server) plan(c *gin.Context) {
	plan, err := s.options.Points.Plan(c.Query("device"))
	if err != nil {
		s.pointsFailed(c, err)
		return
	}
	answer(c, http.StatusOK, plan)
}

// pointForms are the forms in which points leave.
var pointForms = map[string]struct{ extension, media string }{
	"csv":     {"csv", "text/csv; charset=utf-8"},
	"xlsx":    {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
	"neuron":  {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
	"kepware": {"csv", "text/csv; charset=utf-8"},
}

type problemList struct {
	Problems []PointProblem `json:"problems"`
}

// exportPoints sends the points of a device as a file, or, with problems=true, what the form cannot hold.
func (s *Server) exportPoints(c *gin.Context) {
	device, format := c.Query("device"), c.DefaultQuery("format", "csv")
	var file bytes.Buffer
	problems, err := s.options.Points.Export(device, format, &file)
	if err != nil {
		s.pointsFailed(c, err)
		return
	}
	if c.Query("problems") == "true" {
		answer(c, http.StatusOK, problemList{append([]PointProblem{}, problems...)})
		return
	}
	form := pointForms[format]
	attach(c, device+"-points."+form.extension, form.media, file.Bytes())
}

func (s *Server) deviceFile(c *gin.Context) {
	device := c.Query("device")
	data, err := s.options.Points.File(device)
	if err != nil {
		s.pointsFailed(c, err)
		return
	}
	attach(c, device+".yaml", yamlType, data)
}

func attach(c *gin.Context, name, media string, data []byte) {
	disposition := mime.FormatMediaType("attachment", map[string]string{"filename": name})
	if disposition == "" {
		disposition = "attachment"
	}
	c.Header("Content-Disposition", disposition)
	write(c, http.StatusOK, media, data)
}

// registersRequest is the body of POST /api/v1/registers: a place on a device, or words alone.
type registersRequest struct {
	Device  string   `json:"device,omitempty"`
	Area    string   `json:"area,omitempty"`
	Address int      `json:"address,omitempty"`
	Count   int      `json:"count,omitempty"`
	Words   []string `json:"words,omitempty"`
}

func (s *Server) registers(c *gin.Context) {
	var request registersRequest
	if !read(c, &request) {
		return
	}
	if request.Device == "" {
		words, err := parseWords(request.Words)
		if err != nil {
			s.pointsFailed(c, err)
			return
		}
		answer(c, http.StatusOK, s.options.Points.Interpret(words))
		return
	}
	// Some devices have registers that change when they are read.
	if operatorsOnly(c); c.IsAborted() {
		return
	}
	select {
	case s.inspections <- struct{}{}:
		defer func() { <-s.inspections }()
	default:
		refuse(c, problem{Status: http.StatusServiceUnavailable, Title: "Busy", Detail: "others are looking at registers; try again in a moment", retryAfter: time.Second})
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), registersTime)
	defer cancel()
	found, err := s.options.Points.Registers(ctx, request.Device, request.Area, request.Address, request.Count)
	if err != nil {
		s.pointsFailed(c, err)
		return
	}
	answer(c, http.StatusOK, found)
}

// parseWords reads registers as people copy them: 43AF, 43af or 0x43AF.
func parseWords(written []string) ([]uint16, error) {
	if len(written) == 0 {
		return nil, &FieldError{"device", "say which device to read, or give words"}
	}
	if len(written) > maxWords {
		return nil, &FieldError{"words", fmt.Sprintf("%d words; %d are possible", len(written), maxWords)}
	}
	words := make([]uint16, len(written))
	for i, text := range written {
		digits := strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(text), "0x"), "0X")
		n, err := strconv.ParseUint(digits, 16, 16)
		if err != nil {
			return nil, &FieldError{"words", fmt.Sprintf("word %d: %.20q is not a register in hex digits, such as 43AF", i+1, text)}
		}
		words[i] = uint16(n)
	}
	return words, nil
}

func (s *Server) importPoints(c *gin.Context) {
	how, err := importOptions(c)
	if err != nil {
		s.pointsFailed(c, err)
		return
	}
	// One at a time: a table takes many times the memory of its file.
	select {
	case s.imports <- struct{}{}:
		defer func() { <-s.imports }()
	default:
		refuse(c, problem{Status: http.StatusServiceUnavailable, Title: "Busy", Detail: "another file is being read; try again in a moment", retryAfter: time.Second})
		return
	}
	// The server's limit is for short bodies.
	if err := http.NewResponseController(c.Writer).SetReadDeadline(time.Now().Add(importTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		_ = c.Error(err)
		return
	}
	data, err := io.ReadAll(c.Request.Body)
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		refuse(c, problem{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("a file with points may have %d MiB", maxImport>>20)})
		return
	}
	if err != nil {
		refuse(c, problem{Status: http.StatusBadRequest, Detail: "the file was cut off on its way: " + err.Error()})
		return
	}
	found, err := s.options.Points.Import(data, how)
	if err != nil {
		s.pointsFailed(c, err)
		return
	}
	answer(c, http.StatusOK, found)
}

func importOptions(c *gin.Context) (how PointFileOptions, err error) {
	how = PointFileOptions{Device: c.Query("device"), Layout: c.Query("layout"), Order: c.Query("order")}
	if station, chosen := c.GetQuery("station"); chosen {
		how.Station = &station
	}
	switch how.Layout {
	case "", "plain", "neuron", "kepware":
	default:
		return how, &FieldError{"layout", "the layouts are plain, neuron and kepware"}
	}
	switch how.Order {
	case "", "ABCD", "CDAB", "BADC", "DCBA":
	default:
		return how, &FieldError{"order", "the orders are ABCD, CDAB, BADC and DCBA"}
	}
	switch c.DefaultQuery("base", "0") {
	case "0":
	case "1":
		how.Base = 1
	default:
		return how, &FieldError{"base", "plain numbers count from 0 or from 1"}
	}
	for _, each := range c.QueryArray("column") {
		name, index, _ := strings.Cut(each, ":")
		at, err := strconv.Atoi(index)
		if err != nil || at < -1 {
			return how, &FieldError{"column", "say which column stands where, as in column=address:3, counted from 0; -1 is nowhere"}
		}
		if how.Columns == nil {
			how.Columns = map[string]int{}
		}
		how.Columns[name] = at
	}
	return how, nil
}

func (s *Server) pointsFailed(c *gin.Context, err error) {
	wrong, mistaken := errors.AsType[*FieldError](err)
	switch {
	case errors.Is(err, ErrUnknown):
		refuse(c, problem{Status: http.StatusNotFound, Detail: err.Error()})
	case mistaken:
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: wrong.Field, Detail: wrong.Text})
	case c.Request.Method == http.MethodPost && c.FullPath() != importPath:
		refuse(c, problem{Status: http.StatusBadGateway, Title: "The device did not give it", Detail: err.Error()})
	default:
		_ = c.Error(err)
		refuse(c, problem{Status: http.StatusInternalServerError})
	}
}
