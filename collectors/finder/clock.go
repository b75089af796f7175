package finder

import "time"

// clock tells how long a search will take yet. What a question costs is estimated from its protocol's
// patience, and the estimate is corrected by how long those took that have been asked: most end with a
// time-out, which is exact, and each answer makes it shorter.
type clock struct {
	began time.Time
	past  time.Duration // estimated, of what is done
}

const leastPast = 5 * time.Second // before it no correction is worth anything

// spend counts one question that has been asked.
func (c *clock) spend(estimate time.Duration) { c.past += estimate }

// left corrects the estimate of what is to come. atOnce is how many questions run at the same time.
func (c *clock) left(estimate time.Duration, atOnce int) time.Duration {
	if c.past < leastPast {
		return estimate / time.Duration(atOnce)
	}
	actual := time.Since(c.began)
	return time.Duration(float64(estimate) * float64(actual) / float64(c.past))
}
