#include <weir/base/defect.hpp>

#include <gtest/gtest.h>

namespace weir::defect_test {
namespace {

TEST(PlantedDefect, is_there_while_it_lives_and_alone) {
  EXPECT_FALSE(is_planted("a"));
  {
    const planted_defect first("a");
    EXPECT_EQ(is_planted("a"), defects_can_be_planted);
    EXPECT_FALSE(is_planted("b"));
    {
      const planted_defect second("b");
      EXPECT_FALSE(is_planted("a"));
      EXPECT_EQ(is_planted("b"), defects_can_be_planted);
    }
    EXPECT_EQ(is_planted("a"), defects_can_be_planted);
  }
  EXPECT_FALSE(is_planted("a"));
}

}  // namespace
}  // namespace weir::defect_test
