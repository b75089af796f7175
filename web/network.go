package web

import (
	"context"
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"sluice/gateway/network"
)

// Network shows and changes how the machine is connected. Its methods may be called from any goroutine;
// changes are made one after the other. Refusals are the errors of gateway/network.
type Network interface {
	// State shows all of it; secrets as network.Secret.
	State(ctx context.Context) (network.State, error)
	// Apply makes all the connections that there are, unless the tag is an old one. The change is taken
	// back after a minute unless Confirm is called.
	Apply(ctx context.Context, all []network.Connection, etag string) (network.Applied, error)
	Confirm(ctx context.Context, id string) error
	RollBack(ctx context.Context) error
	// Scan listens for wireless networks, for some seconds.
	Scan(ctx context.Context, name string) ([]network.AccessPoint, error)
}

const (
	networkPath = "/api/v1/network"
	maxNetwork  = 512 << 10 // bytes of a change: every connection with every peer
)

// networkChange is the body of PUT /api/v1/network.
type networkChange struct {
	Connections []network.Connection `json:"connections"`
}

// networkScan asks for what is in the air, networkAir is the answer.
type networkScan struct {
	Interface string `json:"interface"`
}

type networkAir struct {
	Items []network.AccessPoint `json:"items"`
}

func (s *Server) networkRoutes(signedIn *gin.RouterGroup) {
	signedIn.GET("/network", s.network)
	signedIn.POST("/network/scan", operatorsOnly, s.scanNetworks)
	administrators := signedIn.Group("", administratorsOnly)
	administrators.PUT("/network", s.applyNetwork)
	administrators.POST("/network/confirm", s.confirmNetwork)
	administrators.DELETE("/network/pending", s.rollBackNetwork)
}

func (s *Server) network(c *gin.Context) {
	state, err := s.options.Network.State(c.Request.Context())
	if err != nil {
		s.networkFailed(c, err)
		return
	}
	c.Header("ETag", quoted(state.ETag))
	answer(c, http.StatusOK, state)
}

func (s *Server) applyNetwork(c *gin.Context) {
	etag, ok := ifMatch(c)
	if !ok {
		return
	}
	var change networkChange
	if !read(c, &change) {
		return
	}
	// Without the list everything would be removed by an empty object.
	if change.Connections == nil {
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: "connections", Detail: "give all connections that there shall be"})
		return
	}
	if err := network.Check(change.Connections); err != nil {
		s.networkFailed(c, err)
		return
	}
	before, err := s.options.Network.State(c.Request.Context())
	if err != nil {
		s.networkFailed(c, err)
		return
	}
	applied, err := s.options.Network.Apply(c.Request.Context(), change.Connections, etag)
	if err != nil {
		s.networkFailed(c, err)
		return
	}
	s.recordChange(c, who(c).user, "network applied", "", before.Connections, change.Connections)
	c.Header("ETag", quoted(applied.ETag))
	answer(c, http.StatusOK, applied)
}

func (s *Server) confirmNetwork(c *gin.Context) {
	var which confirmation
	if !read(c, &which) {
		return
	}
	s.settleNetwork(c, "network confirmed", s.options.Network.Confirm(c.Request.Context(), which.ID))
}

func (s *Server) rollBackNetwork(c *gin.Context) {
	s.settleNetwork(c, "network rolled back", s.options.Network.RollBack(c.Request.Context()))
}

func (s *Server) settleNetwork(c *gin.Context, action string, err error) {
	if err != nil {
		s.networkFailed(c, err)
		return
	}
	s.record(c, who(c).user, action, "")
	c.Status(http.StatusNoContent)
}

func (s *Server) scanNetworks(c *gin.Context) {
	var request networkScan
	if !read(c, &request) {
		return
	}
	found, err := s.options.Network.Scan(c.Request.Context(), request.Interface)
	if err != nil {
		s.networkFailed(c, err)
		return
	}
	answer(c, http.StatusOK, networkAir{append([]network.AccessPoint{}, found...)})
}

func (s *Server) networkFailed(c *gin.Context, err error) {
	wrong, mistaken := errors.AsType[*network.FieldError](err)
	switch {
	case mistaken:
		refuse(c, problem{Status: http.StatusUnprocessableEntity, Field: wrong.Field, Detail: wrong.Text})
	case errors.Is(err, network.ErrChanged):
		refuse(c, problem{Status: http.StatusPreconditionFailed, Field: "If-Match", Detail: err.Error()})
	case errors.Is(err, network.ErrPending), errors.Is(err, network.ErrDenied), errors.Is(err, network.ErrUnavailable):
		refuse(c, problem{Status: http.StatusConflict, Detail: err.Error()})
	case errors.Is(err, network.ErrUnknown):
		refuse(c, problem{Status: http.StatusNotFound, Detail: err.Error()})
	default:
		// What NetworkManager says is of use to whoever changes it.
		_ = c.Error(err)
		refuse(c, problem{Status: http.StatusInternalServerError, Title: "The network was not changed", Detail: err.Error()})
	}
}
